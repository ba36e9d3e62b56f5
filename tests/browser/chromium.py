"""Headless Chromium, and its tabs."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

CASE_SECONDS = 30

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage --no-first-run
    --disable-background-networking --disable-component-update --disable-sync --remote-debugging-pipe""".split()


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
        self.exceptions = {}  # by session

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

    def open_page(self, url: str) -> "Tab":
        """In a tab of its own."""
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        tab = Tab(self, self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        tab.command("Runtime.enable")
        tab.go(url)
        return tab

    def command(self, method: str, session: str | None = None, **params) -> dict:
        self.last_id += 1
        message = {"id": self.last_id, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + CASE_SECONDS
        while True:
            answer = self.receive(deadline)
            if answer.get("method") == "Runtime.exceptionThrown":
                exception = words(answer["params"]["exceptionDetails"])
                self.exceptions.setdefault(answer.get("sessionId"), []).append(exception)
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


class Tab:
    """A page."""

    def __init__(self, browser: Browser, session: str):
        self.browser = browser
        self.session = session

    def go(self, url: str) -> None:
        answer = self.command("Page.navigate", url=url)
        if "errorText" in answer:
            raise Trouble(f"{url}: {answer['errorText']}")
        loaded = f"document.readyState === 'complete' && location.href === {json.dumps(url)}"
        self.wait_for(loaded, f"{url} does not load")

    def no_exceptions(self) -> None:
        if exceptions := self.browser.exceptions.get(self.session):
            raise Trouble("; ".join(exceptions))

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
        self.command("Page.bringToFront")
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

    def wait_for_text(self, selector: str, pattern: str) -> None:
        """The text of an element, as a regular expression; a connection that is lost may take its time."""
        text = f"document.querySelector({json.dumps(selector)}).innerText.trim()"
        complaint = f"{pattern} is not in {selector}"
        self.wait_for(f"new RegExp({json.dumps(pattern)}).test({text})", complaint, seconds=30)

    def wait_for(self, condition: str, complaint: str, seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
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
        return self.browser.command(method, self.session, **params)


def words(exception: dict) -> str:
    return exception.get("exception", {}).get("description") or exception["text"]
