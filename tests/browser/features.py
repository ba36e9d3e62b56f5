"""The rows of features that need a page: small routes of `server`, then the examples `live` and `chat` as people use them."""

import contextlib
import http.client
import json
import re
import time
import urllib.request
from functools import partial
from pathlib import Path

from chromium import FLAGS, Browser, Tab, Trouble
from program import Program
from wire import Wire

LOST = "connection lost, trying again"

# Says nothing, and keeps how that ends.
SILENT = """globalThis.silent = new Promise((resolve) => {
    new WebSocket(`ws://${location.host}/chat`).onclose = (event) => resolve([event.code, event.reason, event.wasClean]);
})"""


def groups(chromium: str, programs: Path, folder: Path):
    """A heading, and what gives name and function of each check, in order."""
    for name, ready, checks in (
        ("browser_rows", "listening", rows),
        ("live", "live: open http://", live),
        ("chat", "chat: open http://", chat),
    ):
        yield name, partial(serve, chromium, programs / name, ready, checks, folder / name)


def serve(chromium: str, program: Path, ready: str, checks, folder: Path):
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Program([program], folder, ready))
        browser = stack.enter_context(Browser([chromium, *FLAGS], folder))
        yield from checks(server, browser, stack)


# The small routes.


def rows(server: Program, browser: Browser, _):
    tab = browser.open_page(f"http://{server.address}/")
    yield "HX1 HX2 HX3: a page says hello, hears the echo, and closes", partial(hello, tab)
    yield "FL1: a route opens, another one is not there", partial(routes, tab, server)
    yield "FL5: the handler is told once of the page's close", partial(page_closes, tab, server)
    yield "FL7: the page is told of the server's close", partial(server_closes, tab)
    yield "PL6: a cookie of the page", partial(cookie, tab)
    yield "PL10: the subprotocol that the server picked", partial(subprotocol, tab)
    yield "DG8: an endpoint by its name", partial(endpoint, tab)
    yield "the pages ran without an error", tab.no_exceptions
    yield "the server still runs", server.still_runs


# FEATURE: HX1
# FEATURE: HX2
# FEATURE: HX3
def hello(tab: Tab) -> None:
    tab.wait_for_log("^message: Echo: Hello, server!$")
    tab.click("#close")
    tab.wait_for_log("^close: 1000 true$")
    equal(log(tab), ["open", "message: Echo: Hello, server!", "close: 1000 true"])


# FEATURE: FL1
def routes(tab: Tab, server: Program) -> None:
    opened = record(tab, "/ws", texts=["hello"], how=[1000])
    equal([opened["opened"], opened["messages"], opened["failed"]], [True, ["I received your message!"], False])
    nope = record(tab, "/nope")
    equal([nope["opened"], nope["failed"], nope["code"]], [False, True, 1006])
    # What the page is not told, is in the answer.
    connection = http.client.HTTPConnection(server.address, timeout=10)
    connection.request("GET", "/nope", headers={
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
    equal(connection.getresponse().status, 404)
    connection.close()


# FEATURE: FL5
def page_closes(tab: Tab, server: Program) -> None:
    end = record(tab, "/ws", how=[4001, "x"])
    equal([end["code"], end["wasClean"]], [4001, True])
    deadline = time.monotonic() + 10
    while (closed := server.output().count(': closed 4001 "x" clean=true')) == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    equal([closed, server.output().count(": closed 4001")], [1, 1])


# FEATURE: FL7
def server_closes(tab: Tab) -> None:
    end = record(tab, "/close")
    equal(end["messages"], ["4002 refused", "1005 refused", "1006 refused", "1015 refused"])
    equal([end["code"], end["reason"], end["wasClean"]], [4002, "bye", True])


# FEATURE: PL6
def cookie(tab: Tab) -> None:
    equal(record(tab, "/cookie")["messages"], ["none"])
    tab.evaluate("document.cookie = 'user=ada'")
    equal(record(tab, "/cookie")["messages"], ["ada"])


# FEATURE: PL10
def subprotocol(tab: Tab) -> None:
    equal(record(tab, "/protocol", protocols=["a", "b"], how=[1000])["protocol"], "b")


# FEATURE: DG8
def endpoint(tab: Tab) -> None:
    end = record(tab, "/websockets/v4/service/my-endpoint", texts=["by name"], how=[1000])
    equal([end["opened"], end["messages"]], [True, ["Echo: by name"]])
    equal(record(tab, "/websockets/v4/service/another")["failed"], True)


def record(tab: Tab, path: str, **how) -> dict:
    return tab.evaluate(f"record({json.dumps(path)}, {json.dumps(how)})")


# Live updates.


def live(server: Program, browser: Browser, _):
    tabs = [browser.open_page(f"http://{server.address}/") for _ in range(3)]
    yield "HX8: one POST reaches all pages", partial(one_post, tabs, server)
    yield "the pages come back when the server does", partial(live_comes_back, tabs, server)
    yield from ending(tabs, server)


# FEATURE: HX8
def one_post(tabs: list[Tab], server: Program) -> None:
    for tab in tabs:
        tab.wait_for_text("#status", "^connected$")
    if f"curl --data-binary 'hello' http://{server.address}/news" not in server.output():
        raise Trouble(f"it prints {server.output()!r}")
    equal(post(server, "tea <b>is</b> ready 🫖"), "3 pages\n")
    for tab in tabs:
        tab.wait_for_text("#log", "tea <b>is</b> ready 🫖$")


def live_comes_back(tabs: list[Tab], server: Program) -> None:
    server.kill()
    for tab in tabs:
        tab.wait_for_text("#status", LOST)
    server.start()
    for tab in tabs:
        tab.wait_for_text("#status", "^connected$")
        tab.wait_for_text("#log", "what was posted meanwhile is missing here")
    equal(post(server, "again"), "3 pages\n")


def post(server: Program, text: str) -> str:
    request = urllib.request.Request(f"http://{server.address}/news", data=text.encode(), method="POST")
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.read().decode()


# The chat.


def chat(server: Program, browser: Browser, stack: contextlib.ExitStack):
    wire = stack.enter_context(Wire(server.address))  # ada's
    ada = browser.open_page(f"http://{wire.address}/")
    bob, eve, other = (browser.open_page(f"http://{server.address}/") for _ in range(3))
    three = {"ada": ada, "bob": bob, "eve": eve}
    other.evaluate(f"void ({SILENT})")
    yield "PL14 HX9: three tabs join, and see each other", partial(join_all, three)
    yield "PL14 HX9: a name that is there already is refused", partial(refuse_duplicate, other, three)
    yield "PL14 HX9: they talk, in one order", partial(talk, three)
    yield "PL14 HX9: another room hears nothing of it", partial(another_room, other, three)
    yield "PL14 HX9: one quits, and joins again", partial(quit_and_join, three)
    yield "what was said was compressed on the wire", partial(compressed, wire)
    yield "a page whose connection is cut misses nothing", partial(cut_and_resume, wire, three)
    yield "a page that was away for long is told how much it missed", partial(away_for_long, wire, three)
    yield "a connection that joins nothing is closed", partial(joins_nothing, other)
    yield "killed and started again: all pages come back, and tell of the gap", partial(restart, server, three)
    yield from ending([ada, bob, eve, other], server)


# FEATURE: PL14
# FEATURE: HX9
def join_all(three: dict[str, Tab]) -> None:
    for name, tab in three.items():
        join(tab, name, "tea")
    wait_for_members(three)


def refuse_duplicate(other: Tab, three: dict[str, Tab]) -> None:
    submit(other, "ada", "tea")
    other.wait_for_text("#trouble", "^this name is taken in the room$")
    wait_for_members(three)


def talk(three: dict[str, Tab]) -> None:
    said = []
    for turn in range(2):
        for name, tab in three.items():
            text = f"<b>{turn}</b> from {name}, κόσμε 🦀" + ", again and again" * 10
            say(tab, text)
            said.append(f"{name}: {text}")
            for other in three.values():
                other.wait_for_text("#log", f"{re.escape(said[-1])}$")
    for name, tab in three.items():
        equal(heard(tab), said)
        equal(tab.evaluate("document.querySelector('#waiting').childElementCount"), 0)


def another_room(other: Tab, three: dict[str, Tab]) -> None:
    join(other, "ada", "coffee")
    say(other, "is anybody here?")
    other.wait_for_text("#log", "ada: is anybody here\\?$")
    equal(heard(other), ["ada: is anybody here?"])
    say(three["bob"], "only tea here")
    three["ada"].wait_for_text("#log", "bob: only tea here$")
    equal([text for text in heard(three["ada"]) if "anybody" in text], [])
    equal(heard(other), ["ada: is anybody here?"])


def quit_and_join(three: dict[str, Tab]) -> None:
    three["eve"].click("#leave")
    three["eve"].wait_for("!document.querySelector('#joining').hidden", "the page did not leave")
    rest = {name: tab for name, tab in three.items() if name != "eve"}
    wait_for_members(rest)
    for tab in rest.values():
        tab.wait_for_text("#log", "eve has left$")
    join(three["eve"], "eve", "tea")
    wait_for_members(three)


def compressed(wire: Wire) -> None:
    equal(sorted(wire.answers), ["permessage-deflate; server_no_context_takeover; client_no_context_takeover"])
    if wire.compressed["the browser"] < 2 or wire.compressed["the server"] < 6:
        raise Trouble(f"messages with RSV1: {wire.compressed}")


def cut_and_resume(wire: Wire, three: dict[str, Tab]) -> None:
    wire.cut()
    three["ada"].wait_for_text("#status", LOST)
    three["bob"].wait_for_text("#log", "ada was lost$")
    for text in ("where is she?", "she will be back"):
        say(three["bob"], text)
    say(three["ada"], "I am here")
    three["ada"].wait_for_text("#waiting", "I am here \\(sending\\)$")
    wire.mend()
    three["ada"].wait_for_text("#status", "^you are ada$")
    for tab in three.values():
        tab.wait_for_text("#log", "ada: I am here$")
    equal(heard(three["ada"])[-3:], ["bob: where is she?", "bob: she will be back", "ada: I am here"])
    three["ada"].wait_for_text("#log", "Connected again: nothing is missing\\.")
    wait_for_members(three)


def away_for_long(wire: Wire, three: dict[str, Tab]) -> None:
    wire.cut()
    three["ada"].wait_for_text("#status", LOST)
    three["bob"].wait_for_text("#log", "ada was lost$")
    three["bob"].evaluate("for (let at = 0; at < 249; at++) say(`line ${at}`)")
    three["bob"].wait_for_text("#log", "bob: line 248$")
    wire.mend()
    three["ada"].wait_for_text("#status", "^you are ada$")
    # Of 250 events, her own loss among them, the last 200 are kept.
    three["ada"].wait_for_text("#log", "50 events are missing here: the history does not go back that far\\.")
    three["ada"].wait_for_text("#log", "bob: line 248\\s+.*ada has joined$")
    equal([text for text in heard(three["ada"]) if "line" in text], [f"bob: line {at}" for at in range(49, 249)])
    wait_for_members(three)


def joins_nothing(other: Tab) -> None:
    equal(other.evaluate("silent"), [4000, "join a room first", True])


def restart(server: Program, three: dict[str, Tab]) -> None:
    server.kill()
    for tab in three.values():
        tab.wait_for_text("#status", LOST)
    say(three["eve"], "said to nobody")
    time.sleep(1)
    server.start()
    for tab in three.values():
        tab.wait_for_text("#status", "^you are ")
        tab.wait_for_text("#log", "The server was restarted\\. .* their number is unknown\\.")
    wait_for_members(three)
    for tab in three.values():
        tab.wait_for_text("#log", "eve: said to nobody")
    say(three["bob"], "that was quick")
    for tab in three.values():
        tab.wait_for_text("#log", "bob: that was quick$")


def join(tab: Tab, name: str, room: str) -> None:
    submit(tab, name, room)
    tab.wait_for_text("#status", f"^you are {name}$")


def submit(tab: Tab, name: str, room: str) -> None:
    tab.fill("#name", name)
    tab.fill("#room", room)
    tab.click("#join")


def say(tab: Tab, text: str) -> None:
    tab.fill("#text", text)
    tab.click("#say")


def heard(tab: Tab) -> list[str]:
    """What was said, without its time."""
    return tab.evaluate("[...document.querySelectorAll('#log .said')].map(line => line.lastChild.data)")


def wait_for_members(tabs: dict[str, Tab]) -> None:
    for name, tab in tabs.items():
        members = [f"{member} (you)" if member == name else member for member in sorted(tabs)]
        tab.wait_for_text("#members", "^" + "\\s+".join(map(re.escape, members)) + "$")


# All of them.


def ending(tabs: list[Tab], server: Program):
    for number, tab in enumerate(tabs, 1):
        yield f"page {number} ran without an error", tab.no_exceptions
    yield "the server ends when it is asked to", partial(ends, server)


def ends(server: Program) -> None:
    start = time.monotonic()
    equal(server.end(), 0)
    if time.monotonic() - start > 4:
        raise Trouble(f"it took {time.monotonic() - start:.1f} s")


def log(tab: Tab) -> list[str]:
    return tab.evaluate("[...document.querySelector('#log').children].map(line => line.innerText)")


def equal(actual, expected) -> None:
    if actual != expected:
        raise Trouble(f"got {actual!r}, not {expected!r}")
