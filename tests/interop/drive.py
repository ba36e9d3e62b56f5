"""Lets this implementation and others talk to each other, in both roles, and reads along.

Each session: pings both ways, messages of 0 bytes to 1 MiB sent and echoed, every other one in fragments, then a Close
from one end or the other. First over both adapters, with and without TLS and compression; then through every combination
of the parameters of permessage-deflate, those of the client's offer first, then those of the server's limits. These are
not an adapter's matter: the adapters take turns.

usage: drive.py OURS      (called by `run`, in the folder where npm has installed `ws`)
"""

import asyncio
import contextlib
import itertools
import json
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from peers import CLIENT_CLOSES, SERVER_CLOSES, Aiohttp, Program, Trouble, Websockets
from wire import Relay

HERE = Path(__file__).resolve().parent
CERTIFICATES = HERE.parent / "certificates"
SESSION_SECONDS = 20

BITS = range(8, 16)
ALL_PARAMETERS = {"server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits",
                  "client_max_window_bits"}

Parameters = dict[str, int | None]  # as RFC 7692 section 7.1 spells them; None: without a value
ANY: Parameters = {"client_max_window_bits": None}  # what a client offers that has no wish


@dataclass
class Session:
    peer: str
    ours: str  # "client" or "server"
    adapter: str
    offer: Parameters | None  # the client's; None: no compression
    limit: Parameters | None  # the server's; None: no compression
    corpus: str
    level: int
    closes: str  # "client" or "server"
    tls: bool = False

    def __str__(self) -> str:
        left, right = (self.adapter, self.peer) if self.ours == "client" else (self.peer, self.adapter)
        return (f"{left} offers {spell(self.offer)} to {right} with {spell(self.limit)}: {self.corpus}, "
                f"level {self.level}, {self.closes} closes, {self.scheme()}")

    def scheme(self) -> str:
        return "wss" if self.tls else "ws"


def spell(parameters: Parameters | None) -> str:
    if parameters is None:
        return "nothing"
    return "; ".join(["deflate"] + [name if value is None else f"{name}={value}" for name, value in parameters.items()])


# FEATURE: HX4
def sessions():
    """All of them, a peer at a time; first of all, ours as the client of `ws`."""
    count = itertools.count()
    for peer, ours in itertools.product(("ws", "websockets", "aiohttp"), ("client", "server")):
        for adapter, closes, tls in itertools.product(ADAPTERS, ("client", "server"), (False, True)):
            for offer, limit in (None, None), ({}, None), (None, {}):
                yield Session(peer, ours, adapter, offer, limit, "all", 6, closes, tls)
            for level in 1, 6, 9:
                yield Session(peer, ours, adapter, ANY, {}, "all", level, closes, tls)
        for offer, limit in [(offer, {}) for offer in every(ANY)] + [(ANY, limit) for limit in every({})]:
            if possible(peer, "server" if ours == "client" else "client", offer, limit):
                at = next(count)
                corpus, closes = ("text", "binary")[at % 2], ("client", "server")[at // 2 % 2]
                yield Session(peer, ours, ADAPTERS[at // 4 % 2], offer, limit, corpus, (6, 1, 9)[at % 3], closes)


ADAPTERS = "blocking", "tokio"


def every(open: Parameters):
    """Every combination of the four parameters; `open` is how a client says that it takes any limit."""
    names = ("server_no_context_takeover", "client_no_context_takeover")
    bits = [{}, *({"server_max_window_bits": bits} for bits in BITS)]
    limits = [{}, *([open] if open else []), *({"client_max_window_bits": bits} for bits in BITS)]
    for asked in itertools.product((False, True), repeat=2):
        takeover = {name: None for name, asked in zip(names, asked) if asked}
        for server, client in itertools.product(bits, limits):
            yield takeover | server | client


def possible(peer: str, role: str, offer: Parameters | None, limit: Parameters | None) -> bool:
    """Whether `peer` in `role` can be asked for it: what its documentation says of its options."""
    own = limit if role == "server" else offer
    if peer == "ws" or own is None:
        return True
    # Neither compresses as a client with a window of 8 bits: zlib does not, and they do not take 9 for it.
    if role == "client" and (narrow(own, "client_max_window_bits") or narrow(limit, "client_max_window_bits")):
        return False
    if peer == "websockets":
        return role == "client" or not narrow(own, "server_max_window_bits")
    # aiohttp: a server has no options; a client always offers the one and may name the other, from 9.
    if role == "server":
        return not own
    return not narrow(own, "server_max_window_bits") and \
        own in (ANY, ANY | {"server_max_window_bits": own.get("server_max_window_bits")})


def narrow(parameters: Parameters | None, name: str) -> bool:
    return (parameters or {}).get(name) == 8


def agreed(session: Session) -> Parameters | None:
    """What RFC 7692 section 7.1 makes of offer and limit; None: nothing is agreed."""
    offer, limit = session.offer, session.limit
    if offer is None or limit is None:
        return None
    if session.ours == "client" and session.peer != "ws" and narrow(offer, "server_max_window_bits"):
        return None  # declined, for the same reason
    names = offer.keys() | limit.keys()
    answer = {name: None for name in names if name.endswith("_takeover")}
    for name in names & ({"server_max_window_bits"} | (offer.keys() & {"client_max_window_bits"})):
        answer[name] = min(offer.get(name) or 15, limit.get(name, 15))
    return answer


async def main() -> None:
    # So that all is cleaned up.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    ours = Program("ours", sys.argv[1], cwd=Path.cwd())
    ws = Program("ws", "node", str(HERE / "ws.mjs"), cwd=Path.cwd())
    peers = {"ws": ws, "websockets": Websockets(), "aiohttp": Aiohttp()}
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="interop-") as folder:
        make_corpora(Path(folder))
        (Path(folder) / "tls").mkdir()
        subprocess.run([CERTIFICATES, Path(folder) / "tls"], check=True)
        for (peer, role), group in itertools.groupby(sessions(), lambda session: (session.peer, session.ours)):
            good, bad = Counter(), 0
            failing = True
            async with contextlib.AsyncExitStack() as running:
                for session in group:
                    if failing:  # nobody knows where the programs stand
                        failing = False
                        await running.aclose()
                        await running.enter_async_context(ours)
                        await running.enter_async_context(ws)
                    try:
                        async with asyncio.timeout(SESSION_SECONDS):
                            await run(session, ours, peers[peer], Path(folder))
                        good[session.adapter, session.scheme()] += 1
                    except Exception as error:
                        print(f"FAILED: {session}\n    {type(error).__name__}: {error}", flush=True)
                        failing = True
                        bad += 1
                        if bad == 10:
                            break  # each may take its whole time
            counts = ", ".join(f"{count} {adapter} {scheme}" for (adapter, scheme), count in sorted(good.items()))
            print(f"ours as {role}, {peer}: {counts}; {bad} failed", flush=True)
            passed, failed = passed + good.total(), failed + bad
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0 or passed == 0)


async def run(session: Session, ours: Program, peer, folder: Path) -> None:
    """Raises what is wrong."""
    client, server = (ours, peer) if session.ours == "client" else (peer, ours)
    corpus = folder / session.corpus
    more = [session.adapter, f"level={session.level}", *(["asked"] if session.closes == "server" else [])]
    more += [f"tls={folder / 'tls'}"] if session.tls else []
    host = "localhost" if session.tls else "127.0.0.1"
    async with server.serve(words(session.limit) + more) as serving, Relay(serving.port) as relay:
        client_end = await client.connect(corpus, f"{session.scheme()}://{host}:{relay.port}/", words(session.offer) + more)
        server_end = await serving.ended()
        await relay.done.wait()
    if relay.trouble:
        raise relay.trouble
    (check_records if session.tls else check_frames)(session, relay, list(corpus.iterdir()))

    if session.closes == "client":
        sent, heard, answer = CLIENT_CLOSES, server_end, client_end[0]
    else:
        sent, heard, answer = SERVER_CLOSES, client_end, server_end[0]
    # aiohttp answers a Close with 1000, whatever it held.
    echo = 1000 if session.peer == "aiohttp" and session.closes == session.ours else sent[0]
    must((heard, answer) == (sent, echo), f"{sent} is heard as {heard}, and answered with {answer}")


def check_records(session: Session, relay: Relay, corpus: list[Path]) -> None:
    """What can be told of encrypted bytes: that they are, and how many."""
    length = sum(path.stat().st_size for path in corpus)
    for sent in relay.client, relay.server:
        must(sent.encrypted, "no TLS")
        must((sent.length < length / 2) == (agreed(session) is not None), f"{sent.length} bytes for {length}")


def check_frames(session: Session, relay: Relay, corpus: list[Path]) -> None:
    offered, answered = relay.client.extensions(), relay.server.extensions()
    expected = agreed(session)
    must((offered is None) == (session.offer is None), f"offered {offered!r}")
    must((answered is None) == (expected is None), f"{offered!r} is answered with {answered!r}")
    if answered is not None:
        check_answer(session, parse(offered), parse(answered), expected)

    count = len(corpus)
    for sent, extra in ((relay.client, session.closes == "server"), (relay.server, False)):
        compressed, plain = sent.frames["compressed"], sent.frames["plain"]
        must(compressed + plain == count + extra, f"{compressed} + {plain} messages for {count}")
        must((compressed > 0) == (expected is not None), f"{compressed} messages with RSV1, agreed: {answered!r}")
    if session.peer != "aiohttp":
        must(relay.client.frames["fragments"] > 0 and relay.server.frames["fragments"] > 0, "no fragments")
    must(relay.client.pings == [b"from the client"] == relay.server.pongs, f"pongs: {relay.server.pongs}")
    must(relay.server.pings == [b"from the server"] == relay.client.pongs, f"pongs: {relay.client.pongs}")
    must(len(relay.client.closes) == len(relay.server.closes) == 1, "not one Close each way")


def check_answer(session: Session, offer: Parameters, answer: Parameters, expected: Parameters) -> None:
    """Ours exactly, but for a window of 15 bits, which goes without saying; a peer's as far as the RFC has it."""
    if session.ours == "client":
        must(offer == our_offer(session.offer), f"ours offers {offer}, not {session.offer}")
    else:
        must(answer == our_answer(expected, offer), f"{offer} is answered with {answer}, not with {expected}")
    for name in ("server_max_window_bits", "server_no_context_takeover"):
        must(name not in offer or name in answer, f"{name} is not confirmed")
    must(answer.get("server_max_window_bits", 15) <= (offer.get("server_max_window_bits") or 15), "a larger window")
    must("client_max_window_bits" not in answer or "client_max_window_bits" in offer, "an unasked limit")


def our_offer(offer: Parameters) -> Parameters:
    """A window of 15 bits goes without saying; a client's, that it takes a limit, does not."""
    spelled = {name: bits for name, bits in offer.items() if (name, bits) != ("server_max_window_bits", 15)}
    return spelled | ({"client_max_window_bits": None} if offer.get("client_max_window_bits") == 15 else {})


def our_answer(agreed: Parameters, offer: Parameters) -> Parameters:
    """A window of 15 bits goes without saying, but a server's that was asked for."""
    return {name: bits for name, bits in agreed.items()
            if bits != 15 or (name == "server_max_window_bits" and name in offer)}


def parse(line: str) -> Parameters:
    """One element: no peer here sends more."""
    name, *parameters = (word.strip() for word in line.split(";"))
    must(name == "permessage-deflate" and "," not in line, f"an extension {line!r}")
    pairs = [parameter.partition("=") for parameter in parameters]
    must({name for name, _, _ in pairs} <= ALL_PARAMETERS, f"parameters in {line!r}")
    return {name: int(value) if equals else None for name, equals, value in pairs}


def words(parameters: Parameters | None) -> list[str]:
    return [] if parameters is None else spell(parameters).split("; ")


def must(condition: bool, complaint: str) -> None:
    if not condition:
        raise Trouble(complaint)


def make_corpora(folder: Path) -> None:
    """Text and bytes of 0 to 1 MiB, some that compress well, some not at all, some alike."""
    source = random.Random(7692)
    record = json.dumps({"name": "κόσμε 🦀", "tags": ["a", "b"], "text": "the quick brown fox"}, ensure_ascii=False)
    document = "".join(f"{record}{at}\n" for at in range(14000)).encode()
    noise = source.randbytes(1 << 20)
    texts = ["", "Hello", "Hello"] + [cut(document, size) for size in (63, 64, 125, 126, 127, 300, 4096, 4096)]
    blobs = [b"", b"\0", *(noise[:size] for size in (125, 300, 4096, 4096, 65535))]
    blobs += [document[:5000] + noise[:5000], document[:65536]]
    long = [cut(document, 65536), cut(document, 1 << 20)]
    for name, messages in {
        "text": texts + blobs[:5] + long,
        "binary": blobs + texts[:5] + [document[: 1 << 20]],
        "all": texts + blobs + long + [document[: 1 << 20], noise],
    }.items():
        (folder / name).mkdir()
        for at, message in enumerate(messages):
            path = folder / name / f"{at:02}.{'txt' if isinstance(message, str) else 'bin'}"
            path.write_bytes(message.encode() if isinstance(message, str) else message)


def cut(document: bytes, size: int) -> str:
    """Text of this many bytes."""
    text = document[:size].decode(errors="ignore")
    return text + "x" * (size - len(text.encode()))


if __name__ == "__main__":
    asyncio.run(main())
