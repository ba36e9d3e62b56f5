"""The ends that talk to each other, all with the same two verbs.

`async with peer.serve(parameters) as server`: `server.port`, and after one connection `await server.ended()`.
`await peer.connect(corpus, url, parameters)`: sends the corpus, wants each message back, closes.
Both give the code and the reason of the other side's Close, or raise.
"""

import asyncio
import contextlib
import re
import ssl
from pathlib import Path

import aiohttp
import websockets.asyncio.client
import websockets.asyncio.server
from aiohttp import web
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory

PLEASE_CLOSE = "close, please"
CLIENT_CLOSES = 4001, "the client is through: κόσμε"
SERVER_CLOSES = 4002, "the server is through: κόσμε"

Ended = tuple[int, str]


class Program:
    """Another process; src/main.rs tells what is said to it."""

    def __init__(self, name: str, *command: str, cwd: Path):
        self.name, self.command, self.cwd = name, command, cwd

    async def __aenter__(self) -> "Program":
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(*self.command, stdin=pipe, stdout=pipe, cwd=self.cwd)
        return self

    async def __aexit__(self, *_) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    @contextlib.asynccontextmanager
    async def serve(self, parameters: list[str]):
        self.say("serve", "-", *parameters)
        port = re.fullmatch(r"port (\d+)", await self.listen())
        yield Server(int(port[1]), self.ended)

    async def connect(self, corpus: Path, url: str, parameters: list[str]) -> Ended:
        self.say("connect", str(corpus), url, *parameters)
        return await self.ended()

    async def ended(self) -> Ended:
        word, _, rest = (await self.listen()).partition(" ")
        if word != "end":
            raise Trouble(f"{self.name}: {rest}")
        code, _, reason = rest.partition(" ")
        return int(code), reason

    def say(self, *words: str) -> None:
        self.process.stdin.write(" ".join(words).encode() + b"\n")

    async def listen(self) -> str:
        line = await self.process.stdout.readline()
        if not line:
            raise Trouble(f"{self.name}: the program ended")
        return line.decode().removesuffix("\n")


class Trouble(Exception):
    """What went wrong, in words."""


class Server:
    def __init__(self, port: int, ended):
        self.port, self.ended = port, ended


def messages(corpus: Path) -> list[str | bytes]:
    return [path.read_text() if path.suffix == ".txt" else path.read_bytes() for path in sorted(corpus.iterdir())]


def in_thirds(message: str | bytes) -> list[str | bytes]:
    third = len(message) // 3
    return [message[:third], message[third : 2 * third], message[2 * third :]]


def factory(kind, parameters: list[str]):
    """What `websockets` makes of parameters that are spelled as in RFC 7692."""
    if "deflate" not in parameters:
        return None
    given = dict(word.partition("=")[::2] for word in parameters)
    absent = None if kind is ServerPerMessageDeflateFactory else False
    arguments = {name: True for name in given if name.endswith("_no_context_takeover")}
    arguments |= {name: int(bits) if bits else True for name, bits in given.items() if name.endswith("_bits")}
    return [kind(**{"client_max_window_bits": absent or None} | arguments)]


def folder_of_tls(parameters: list[str]) -> Path | None:
    """Where tests/certificates has put its files."""
    folders = [Path(word.removeprefix("tls=")) for word in parameters if word.startswith("tls=")]
    return folders[0] if folders else None


def server_tls(parameters: list[str]) -> ssl.SSLContext | None:
    if not (folder := folder_of_tls(parameters)):
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "chain.pem", folder / "key.pem")
    return context


def client_tls(parameters: list[str]) -> ssl.SSLContext | None:
    """Trusts the private authority, and nobody else."""
    folder = folder_of_tls(parameters)
    return ssl.create_default_context(cafile=folder / "root.pem") if folder else None


class Websockets:
    name = "websockets"

    @contextlib.asynccontextmanager
    async def serve(self, parameters: list[str]):
        end = asyncio.get_running_loop().create_future()

        async def echo(ws) -> None:
            await ws.ping("from the server")
            fragment = False
            with contextlib.suppress(ConnectionClosed):
                while (message := await ws.recv()) != PLEASE_CLOSE:
                    await ws.send(in_thirds(message) if fragment else message)
                    fragment = not fragment
                await ws.close(*SERVER_CLOSES)
            await ws.wait_closed()
            if not end.done():
                end.set_result((ws.close_code, ws.close_reason))

        extensions = factory(ServerPerMessageDeflateFactory, parameters)
        async with websockets.asyncio.server.serve(
            echo, "127.0.0.1", 0, compression=None, extensions=extensions, max_size=None, ping_interval=None,
            ssl=server_tls(parameters)
        ) as server:
            yield Server(server.sockets[0].getsockname()[1], lambda: end)

    async def connect(self, corpus: Path, url: str, parameters: list[str]) -> Ended:
        extensions = factory(ClientPerMessageDeflateFactory, parameters)
        async with websockets.asyncio.client.connect(
            url, compression=None, extensions=extensions, max_size=None, ping_interval=None, proxy=None,
            ssl=client_tls(parameters)
        ) as ws:
            await ws.ping("from the client")
            for at, message in enumerate(messages(corpus)):
                await ws.send(in_thirds(message) if at % 2 else message)
                if await ws.recv() != message:
                    raise Trouble(f"message {at} came back changed")
            if "asked" in parameters:
                await ws.send(PLEASE_CLOSE)
            else:
                await ws.close(*CLIENT_CLOSES)
            await ws.wait_closed()
            return ws.close_code, ws.close_reason


class Aiohttp:
    """Sends no fragments. Of the parameters it takes `server_max_window_bits` alone, as a client."""

    name = "aiohttp"

    @contextlib.asynccontextmanager
    async def serve(self, parameters: list[str]):
        end = asyncio.get_running_loop().create_future()

        async def echo(request) -> web.WebSocketResponse:
            ws = web.WebSocketResponse(compress="deflate" in parameters, max_msg_size=0)
            await ws.prepare(request)
            await ws.ping(b"from the server")
            while (message := await ws.receive()).type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                if message.data == PLEASE_CLOSE:
                    await ws.close(code=SERVER_CLOSES[0], message=SERVER_CLOSES[1].encode())
                    end.set_result((ws.close_code, ""))
                    return ws
                await (ws.send_str if isinstance(message.data, str) else ws.send_bytes)(message.data)
            if not end.done():
                end.set_result((message.data, message.extra))
            return ws

        application = web.Application()
        application.router.add_get("/", echo)
        runner = web.AppRunner(application)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=1, ssl_context=server_tls(parameters))
            await site.start()
            yield Server(runner.addresses[0][1], lambda: end)
        finally:
            await runner.cleanup()

    async def connect(self, corpus: Path, url: str, parameters: list[str]) -> Ended:
        bits = [int(word.partition("=")[2]) for word in parameters if word.startswith("server_max_window_bits=")]
        compress = (bits or [15])[0] if "deflate" in parameters else 0
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(url, compress=compress, max_msg_size=0, ssl=client_tls(parameters) or True) as ws:
                await ws.ping(b"from the client")
                for at, message in enumerate(messages(corpus)):
                    await (ws.send_str if isinstance(message, str) else ws.send_bytes)(message)
                    if (await ws.receive()).data != message:
                        raise Trouble(f"message {at} came back changed")
                if "asked" in parameters:
                    await ws.send_str(PLEASE_CLOSE)
                    close = await ws.receive()
                    return close.data, close.extra
                await ws.close(code=CLIENT_CLOSES[0], message=CLIENT_CLOSES[1].encode())
                return ws.close_code, ""
