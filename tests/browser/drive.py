"""Starts an echo server and headless Chromium, runs cases.js in the page, then uses the page as a person would. That for
each server, without TLS and with it.

usage: drive.py CHROMIUM FOLDER      (where the servers lie)
"""

import base64
import contextlib
import hashlib
import itertools
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

CASES = Path(__file__).with_name("cases.js").read_text()
CERTIFICATES = Path(__file__).parent.with_name("certificates")
CASE_SECONDS = 30

SERVERS = {"echo_server": [], "tokio_echo": ["--deflate"]}

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage --no-first-run
    --disable-background-networking --disable-component-update --disable-sync --remote-debugging-pipe""".split()


def main() -> None:
    chromium, programs = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("tests/browser: terminated"))  # so that all is cleaned up
    passed = failed = 0
    for (server, options), tls in itertools.product(SERVERS.items(), (False, True)):
        print(f"{server}, {'wss' if tls else 'ws'}:", flush=True)
        with contextlib.ExitStack() as stack:
            folder = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
            folder = Path(stack.enter_context(folder))
            trust = []
            if tls:
                subprocess.run([CERTIFICATES, folder], check=True)
                options = [*options, "--tls", str(folder / "chain.pem"), str(folder / "key.pem")]
                trust = [f"--ignore-certificate-errors-spki-list={key_digest(folder / 'key.pem')}"]
            echo_server = [str(Path(programs) / server), *options]
            wire = stack.enter_context(Wire(stack.enter_context(serving(echo_server, folder))))
            browser = stack.enter_context(Browser([chromium, *FLAGS, *trust], folder))
            browser.open_page(f"{'https' if tls else 'http'}://{wire.address}/")
            for name, check in checks(browser, wire, tls):
                try:
                    check()
                except (Trouble, TimeoutError) as trouble:
                    print(f"FAILED: {name}: {trouble}", flush=True)
                    failed += 1
                else:
                    print(f"ok: {name}", flush=True)
                    passed += 1
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0 or passed == 0)


def key_digest(key: Path) -> str:
    """How Chromium wants to be told whose certificate it is to take (it reads no file of authorities)."""
    public = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"], check=True, capture_output=True)
    return base64.b64encode(hashlib.sha256(public.stdout).digest()).decode()


def checks(browser: "Browser", wire: "Wire", tls: bool):
    """Name and function of each check, in order."""
    yield "the page runs without an error", browser.no_exceptions
    browser.evaluate(f"(() => {{ {CASES}; globalThis.cases = cases; }})()")
    for name in browser.evaluate("Object.keys(cases)"):
        yield name, partial(browser.evaluate, f"cases[{json.dumps(name)}]()")
    yield "a person connects, sends, reads and closes", partial(a_person_echoes, browser, "Hello")
    yield "a person does it once more", partial(a_person_echoes, browser, "κόσμε 🦀")
    yield "a person is closed by the server", partial(a_person_is_closed, browser)
    if tls:
        yield "what both sent was TLS on the wire", wire.saw_tls
    else:
        yield "what both sent was compressed on the wire", wire.saw_compression
    yield "the page still ran without an error", browser.no_exceptions


def a_person_echoes(browser: "Browser", message: str) -> None:
    """Connects, types, sends, reads what comes back, closes with a code and a reason."""
    browser.click("#connect")
    browser.wait_for("!document.querySelector('#send').disabled", "the page did not connect")
    browser.fill("#message", message)
    browser.click("#send")
    browser.wait_for_log(f"received .*{re.escape(message)}$")
    browser.fill("#code", "4001")
    browser.fill("#reason", "I am through")
    browser.click("#close")
    browser.wait_for_log("closed.*4001.*wasClean=true$")


def a_person_is_closed(browser: "Browser") -> None:
    """Asks the server to close, and reads how it did."""
    browser.fill("#url", browser.evaluate("location.origin.replace(/^http/, 'ws') + '/close?code=4002&reason=bye'"))
    browser.click("#connect")
    browser.wait_for_log('closed.*4002.*"bye".*wasClean=true$')


@contextlib.contextmanager
def serving(echo_server: list[str], folder: Path):
    """The echo server on a free port; gives its address once it says that it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    log = folder / "echo_server.log"
    with log.open("wb") as out:
        server = subprocess.Popen([*echo_server, address], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 30
        while b"bowsprit echo server" not in log.read_bytes():
            if server.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"tests/browser: the echo server did not start: {log.read_text(errors='replace')}")
            time.sleep(0.05)
        yield address
        if server.poll() is not None:
            sys.exit(f"tests/browser: the echo server ended early: {log.read_text(errors='replace')}")
    finally:
        server.kill()
        server.wait()


class Wire:
    """A relay in front of the server that reads along. The first frame of a compressed message has RSV1 set."""

    def __init__(self, server: str):
        host, _, port = server.partition(":")
        self.server = host, int(port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.compressed = {"the browser": 0, "the server": 0}
        self.secure = {"the browser": 0, "the server": 0}  # connections that began with a record of TLS
        self.answers = set()  # Sec-WebSocket-Extensions, as the server has answered it

    def __enter__(self) -> "Wire":
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.listener.close()

    def accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                browser, _ = self.listener.accept()
                server = socket.create_connection(self.server)
                for ends in (browser, server, "the browser"), (server, browser, "the server"):
                    threading.Thread(target=self.copy, args=ends, daemon=True).start()

    def copy(self, source: socket.socket, target: socket.socket, sender: str) -> None:
        with contextlib.suppress(OSError):  # an end that goes away
            frames = self.count(sender)
            next(frames)
            while data := source.recv(1 << 16):
                frames.send(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def count(self, sender: str):
        """Takes what `sender` sends, piece by piece: a head, then frames (RFC 6455 section 5.2)."""
        rest = bytearray()
        rest += yield
        # RFC 8446 section 5.1: the type of a record that holds a message of the handshake.
        if rest[0] == 22:
            self.secure[sender] += 1
            while True:
                yield
        while b"\r\n\r\n" not in rest:
            rest += yield
        head, _, rest = rest.partition(b"\r\n\r\n")
        extensions = re.search(rb"(?im)^sec-websocket-extensions: *(.*?)\r?$", head)
        if sender == "the server" and head.startswith(b"HTTP/1.1 101"):
            self.answers.add(extensions[1].decode() if extensions else None)
        while b"\nupgrade: websocket" in head.lower():
            while len(rest) < self.header(rest)[0]:
                rest += yield
            header, length = self.header(rest)
            self.compressed[sender] += rest[0] & 0x40 != 0
            while len(rest) < header + length:
                rest += yield
            del rest[: header + length]
        while True:
            yield

    @staticmethod
    def header(frame: bytes) -> tuple[int, int]:
        """The lengths of header and payload, as far as they can be told."""
        short = frame[1] & 0x7F if len(frame) > 1 else 0
        key = 2 + {126: 2, 127: 8}.get(short, 0)
        length = short if key == 2 else int.from_bytes(frame[2:key])
        return key + (4 if len(frame) > 1 and frame[1] & 0x80 else 0), length

    def saw_compression(self) -> None:
        if self.answers != {"permessage-deflate"}:
            raise Trouble(f"the server has answered with {self.answers}")
        if min(self.compressed.values()) < 100:
            raise Trouble(f"messages with RSV1: {self.compressed}")


    def saw_tls(self) -> None:
        if self.answers or min(self.secure.values()) < 10:
            raise Trouble(f"connections over TLS: {self.secure}; without: {self.answers}")


class Trouble(Exception):
    """Something differs, in words."""


class Browser:
    """Chromium behind the DevTools protocol over a pair of pipes: JSON, each message ended by a zero byte."""

    def __init__(self, chromium: list[str], folder: Path):
        self.log_file = folder / "chromium.log"
        # Chromium reads commands from descriptor 3 and answers on 4.
        command_read, self.commands = os.pipe()
        self.answers, answer_write = os.pipe()
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                # In this order: command_read may be 4, but answer_write, the last of four, is above 3.
                ["bash", "-c", f'exec "$@" 3<&{command_read} 4>&{answer_write}', "bash"]
                + [*chromium, f"--user-data-dir={folder / 'profile'}", "about:blank"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(command_read, answer_write),
                start_new_session=True,
                env=os.environ | {"HOME": str(folder)},
            )
        os.close(command_read)
        os.close(answer_write)
        self.received = b""
        self.last_id = 0
        self.session = None
        self.exceptions = []

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self.commands)
        os.close(self.answers)

    def open_page(self, url: str) -> None:
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.command("Runtime.enable")
        answer = self.command("Page.navigate", url=url)
        if "errorText" in answer:
            raise SystemExit(f"tests/browser: {url}: {answer['errorText']}")
        loaded = f"document.readyState === 'complete' && location.href === {json.dumps(url)}"
        self.wait_for(loaded, f"{url} does not load")

    def no_exceptions(self) -> None:
        if self.exceptions:
            raise Trouble("; ".join(self.exceptions))

    def click(self, selector: str) -> None:
        """A click of the mouse in the middle of the element, which must be there, visible and enabled."""
        place = self.evaluate(f"""(() => {{
            const element = document.querySelector({json.dumps(selector)});
            if (!element || element.disabled) throw new Error("{selector} is missing or disabled");
            element.scrollIntoView({{ block: "center" }});
            const box = element.getBoundingClientRect();
            const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
            if (!element.contains(document.elementFromPoint(x, y))) throw new Error("{selector} is covered or hidden");
            return {{ x, y }};
        }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.command("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def fill(self, selector: str, text: str) -> None:
        """Types over what an input holds."""
        self.click(selector)
        self.evaluate(f"document.querySelector({json.dumps(selector)}).select()")
        self.command("Input.insertText", text=text)

    def wait_for_log(self, pattern: str) -> None:
        """A new last line in the page's log, as a regular expression."""
        lines = "document.querySelector('#log').innerText.trimEnd().split('\\n')"
        self.wait_for(f"new RegExp({json.dumps(pattern)}).test({lines}.at(-1))", f"{pattern} is not the end of the log")

    def wait_for(self, condition: str, complaint: str) -> None:
        deadline = time.monotonic() + 10
        while not self.evaluate(f"Boolean({condition})"):
            if time.monotonic() > deadline:
                log = self.evaluate("document.querySelector('#log')?.innerText ?? document.body.innerText")
                raise Trouble(f"{complaint}; it reads: {log[-500:]!r}")
            time.sleep(0.05)

    def evaluate(self, expression: str):
        """The value of a JavaScript expression in the page; a promise is awaited."""
        answer = self.command("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise Trouble(words(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def command(self, method: str, **params) -> dict:
        self.last_id += 1
        message = {"id": self.last_id, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + CASE_SECONDS
        while True:
            answer = self.receive(deadline)
            if answer.get("method") == "Runtime.exceptionThrown":
                self.exceptions.append(words(answer["params"]["exceptionDetails"]))
            if answer.get("id") == self.last_id:
                if "error" in answer:
                    raise Trouble(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def receive(self, deadline: float) -> dict:
        while b"\0" not in self.received:
            ready, _, _ = select.select([self.answers], [], [], max(deadline - time.monotonic(), 0))
            if not ready:
                raise TimeoutError(f"nothing after {CASE_SECONDS} s")
            data = os.read(self.answers, 1 << 16)
            if not data:
                sys.exit(f"tests/browser: chromium ended: {self.log_file.read_text(errors='replace')[-2000:]}")
            self.received += data
        message, _, self.received = self.received.partition(b"\0")
        return json.loads(message)


def words(exception: dict) -> str:
    return exception.get("exception", {}).get("description") or exception["text"]


if __name__ == "__main__":
    main()
