"""A program under test, as a child."""

import socket
import subprocess
import time
from pathlib import Path

from chromium import Trouble


class Program:
    """A server on a port of the loopback interface. It takes the address as its last argument, and prints `ready` once it
    listens there."""

    def __init__(self, command: list, folder: Path, ready: str):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.command = [str(word) for word in command] + [self.address]
        self.name = Path(self.command[0]).name
        self.log = folder / f"{self.name}.log"
        self.ready = ready

    def __enter__(self) -> "Program":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.kill()

    def start(self) -> None:
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        deadline = time.monotonic() + 30
        while self.ready not in self.output():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise SystemExit(f"tests/browser: {self.name} did not start: {self.output()}")
            time.sleep(0.05)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """Asks it to end, as Ctrl-C does; its status."""
        self.process.send_signal(2)
        return self.process.wait(timeout=20)

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def still_runs(self) -> None:
        if self.process.poll() is not None:
            raise Trouble(f"{self.name} ended early: {self.output()}")
