"""One run: starts the suite and the program under test, waits, judges. Called by `run`.

usage: session.py ROLE ADAPTER CASES PROGRAM [OPTION]...
"""

import fnmatch
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from judge import judge

HERE = Path(__file__).resolve().parent
WORK = HERE / ".work"
WSTEST = [str(WORK / "venv/bin/python"), str(HERE / "wstest.py")]
AGENT = "bowsprit"

START_SECONDS = 30

# Name: how many cases, and which. 9 is limits and performance, 12 and 13 are compression.
SETS = {
    "all": (517, lambda id: True),
    "core": (247, lambda id: id[0] not in (9, 12, 13)),
    "9": (54, lambda id: id[0] == 9),
    "lite": (84, lambda id: id[0] in (12, 13) and id[-1] in (1, 2, 3, 4, 5, 6, 11)),
}


def main() -> None:
    role, adapter, wanted, *program = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("autobahn: terminated"))  # so that `finally` is run
    cases = select(wanted)
    work = WORK / f"{role}-{adapter}"
    shutil.rmtree(work, ignore_errors=True)  # nothing of an earlier run may be judged
    work.mkdir()
    outdir = work / "reports"
    limit = 60 + sum(seconds(case) for case in cases)
    print(f"autobahn: {role}, {adapter}: {len(cases)} cases, at most {limit} s; reports in {outdir}", flush=True)

    began = time.monotonic()
    errors = {"server": test_server, "client": test_client}[role](program, cases, work, outdir, limit)
    took = time.monotonic() - began

    failures = judge(outdir, AGENT, cases)
    print(*failures, *errors, sep="\n", end="\n" if failures or errors else "")
    failed = len(failures) + len(errors)
    print(f"{role}, {adapter}, {wanted}: {took:.0f} s")
    print(f"{max(len(cases) - len(failures), 0)} passed, {failed} failed")
    sys.exit(failed > 0)


def test_server(program: list[str], cases: list[str], work: Path, outdir: Path, limit: int) -> list[str]:
    """The suite is the client; ends by itself when it is through."""
    address = f"127.0.0.1:{free_port()}"
    servers = [{"agent": AGENT, "url": f"ws://{address}"}]
    with Process("echo server", [*program, address], work) as server:
        try:
            server.wait_until(server.has_printed_a_line, "printed no line when it was ready")
            with wstest("fuzzingclient", {"servers": servers}, cases, work, outdir) as suite:
                suite.wait(limit)
            server.must_run()
        except Trouble as trouble:
            return [str(trouble)]
    return []


def test_client(program: list[str], cases: list[str], work: Path, outdir: Path, limit: int) -> list[str]:
    """The suite is the server and never ends by itself; the client asks for the report as its last act."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    with wstest("fuzzingserver", {"url": f"ws://{address}"}, cases, work, outdir) as suite:
        try:
            suite.wait_until(lambda: listens(port), f"does not listen on {address}")
            with Process("client", [*program, address], work) as client:
                client.wait(limit)
            suite.must_run()
        except Trouble as trouble:
            return [str(trouble)]
    return []


def wstest(mode: str, spec: dict, cases: list[str], work: Path, outdir: Path) -> "Process":
    spec |= {"outdir": str(outdir), "cases": cases, "exclude-cases": [], "exclude-agent-cases": {}}
    path = work / f"{mode}.json"
    path.write_text(json.dumps(spec))
    return Process("wstest", [*WSTEST, "-m", mode, "-s", str(path), "-u", "0"], work)


class Trouble(Exception):
    """A program did not do its part, in words."""


class Process:
    """A program in a process group of its own, so that all of it can be ended, and nothing else."""

    def __init__(self, name: str, command: list[str], work: Path):
        self.name = name
        self.log = work / f"{name.replace(' ', '_')}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=work, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_) -> None:
        for sign, patience in ((signal.SIGTERM, 3), (signal.SIGKILL, None)):
            try:
                os.killpg(self.process.pid, sign)
            except ProcessLookupError:
                pass
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                continue

    def wait(self, limit: float) -> None:
        """Waits for the end, which must come in time and with status 0."""
        try:
            status = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise self.trouble(f"was not through after {limit} s") from None
        if status != 0:
            raise self.trouble(f"ended with status {status}")

    def wait_until(self, condition, complaint: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            self.must_run()
            if time.monotonic() > deadline:
                raise self.trouble(complaint)
            time.sleep(0.05)
        self.must_run()

    def must_run(self) -> None:
        if self.process.poll() is not None:
            raise self.trouble(f"ended early, with status {self.process.returncode}")

    def has_printed_a_line(self) -> bool:
        return b"\n" in self.log.read_bytes()

    def trouble(self, what: str) -> Trouble:
        tail = "\n    ".join(self.log.read_text(errors="replace").splitlines()[-10:])
        return Trouble(f"the {self.name} {what}; the end of {self.log}:\n    {tail}")


def select(wanted: str) -> list[str]:
    """The full ids of the cases in `wanted`: names of sets, ids and patterns, between commas or spaces."""
    listed = subprocess.run([*WSTEST, "cases"], check=True, capture_output=True, text=True, timeout=60)
    known = listed.stdout.split()
    chosen = set()
    for word in wanted.replace(",", " ").split():
        if word in SETS:
            count, belongs = SETS[word]
            found = {case for case in known if belongs(numbers(case))}
            if len(found) != count:
                sys.exit(f"autobahn: the suite has {len(found)} cases in {word!r}, not {count}: is it another version?")
        else:
            found = set(fnmatch.filter(known, word))
        if not found:
            sys.exit(f"autobahn: no case is called {word!r}; sets: {', '.join(SETS)}")
        chosen |= found
    if not chosen:
        sys.exit("autobahn: --cases names no case")
    return sorted(chosen, key=numbers)


def numbers(case: str) -> list[int]:
    return [int(number) for number in case.split(".")]


def seconds(case: str) -> int:
    """A generous bound: twice what two busy cores need."""
    return {9: 4, 12: 8, 13: 8}.get(numbers(case)[0], 1)


def free_port() -> int:
    """Below 32768, where the kernel takes no port for an outgoing connection."""
    for port in random.sample(range(20000, 32768), 100):
        with socket.socket() as candidate:
            try:
                candidate.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    sys.exit("autobahn: found no free port")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    main()
