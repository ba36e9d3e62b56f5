"""Python 2.7: wstest, but listening on the loopback interface alone; `wstest.py cases` lists the suite's cases."""
import sys

from autobahntestsuite import wstest  # chooses the reactor, so it comes first
from autobahntestsuite.case import Cases
from twisted.internet import reactor

if sys.argv[1:] == ["cases"]:
    for case in Cases:
        print(".".join(case.__name__[len("Case"):].split("_")))
    sys.exit()

listen = reactor.listenTCP


def listen_on_loopback(port, factory, backlog=50, interface=""):
    return listen(port, factory, backlog, "127.0.0.1")


reactor.listenTCP = listen_on_loopback
sys.exit(wstest.run())
