"""The page of the echo servers: cases.js inside it, then as a person uses it. For each server, without TLS and with it."""

import base64
import contextlib
import hashlib
import itertools
import json
import re
import subprocess
from functools import partial
from pathlib import Path

from chromium import FLAGS, Browser, Tab
from program import Program
from wire import Wire

CASES = Path(__file__).with_name("cases.js").read_text()
CERTIFICATES = Path(__file__).parent.with_name("certificates")

SERVERS = {"echo_server": [], "tokio_echo": ["--deflate"]}


def groups(chromium: str, programs: Path, folder: Path):
    """A heading, and what gives name and function of each check, in order."""
    for (server, options), tls in itertools.product(SERVERS.items(), (False, True)):
        scheme = "wss" if tls else "ws"
        yield f"{server}, {scheme}", partial(serve, chromium, programs / server, options, tls, folder / f"{server}-{scheme}")


def serve(chromium: str, server: Path, options: list[str], tls: bool, folder: Path):
    folder.mkdir()
    trust = []
    if tls:
        subprocess.run([CERTIFICATES, folder], check=True)
        options = [*options, "--tls", str(folder / "chain.pem"), str(folder / "key.pem")]
        trust = [f"--ignore-certificate-errors-spki-list={key_digest(folder / 'key.pem')}"]
    with contextlib.ExitStack() as stack:
        program = stack.enter_context(Program([server, *options], folder, "bowsprit echo server"))
        wire = stack.enter_context(Wire(program.address))
        browser = stack.enter_context(Browser([chromium, *FLAGS, *trust], folder))
        tab = browser.open_page(f"{'https' if tls else 'http'}://{wire.address}/")
        yield from checks(tab, wire, tls)
        yield "the server still runs", program.still_runs


def key_digest(key: Path) -> str:
    """How Chromium wants to be told whose certificate it is to take (it reads no file of authorities)."""
    public = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"], check=True, capture_output=True)
    return base64.b64encode(hashlib.sha256(public.stdout).digest()).decode()


def checks(tab: Tab, wire: Wire, tls: bool):
    """Name and function of each check, in order."""
    yield "the page runs without an error", tab.no_exceptions
    tab.evaluate(f"(() => {{ {CASES}; globalThis.cases = cases; }})()")
    for name in tab.evaluate("Object.keys(cases)"):
        yield name, partial(tab.evaluate, f"cases[{json.dumps(name)}]()")
    yield "a person connects, sends, reads and closes", partial(a_person_echoes, tab, "Hello")
    yield "a person does it once more", partial(a_person_echoes, tab, "κόσμε 🦀")
    yield "a person is closed by the server", partial(a_person_is_closed, tab)
    if tls:
        yield "what both sent was TLS on the wire", wire.saw_tls
    else:
        yield "what both sent was compressed on the wire", wire.saw_compression
    yield "the page still ran without an error", tab.no_exceptions


def a_person_echoes(tab: Tab, message: str) -> None:
    """Connects, types, sends, reads what comes back, closes with a code and a reason."""
    tab.click("#connect")
    tab.wait_for("!document.querySelector('#send').disabled", "the page did not connect")
    tab.fill("#message", message)
    tab.click("#send")
    tab.wait_for_log(f"received .*{re.escape(message)}$")
    tab.fill("#code", "4001")
    tab.fill("#reason", "I am through")
    tab.click("#close")
    tab.wait_for_log("closed.*4001.*wasClean=true$")


def a_person_is_closed(tab: Tab) -> None:
    """Asks the server to close, and reads how it did."""
    tab.fill("#url", tab.evaluate("location.origin.replace(/^http/, 'ws') + '/close?code=4002&reason=bye'"))
    tab.click("#connect")
    tab.wait_for_log('closed.*4002.*"bye".*wasClean=true$')
