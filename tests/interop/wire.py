"""A relay between two ends that reads along: heads, and the headers of frames. Of TLS, that it is."""

import asyncio
import contextlib
from collections import Counter

from peers import Trouble


class Direction:
    """What one end has sent."""

    def __init__(self):
        self.encrypted = False
        self.length = 0
        self.head = b""
        self.frames = Counter()  # "compressed" and "plain" messages, "fragments" behind the first
        self.pings, self.pongs, self.closes = [], [], []
        self.rest = bytearray()
        self.skip = 0
        self.upgraded = False

    def extensions(self) -> str | None:
        """The value of Sec-WebSocket-Extensions."""
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            name, _, value = line.partition(":")
            if name.lower() == "sec-websocket-extensions":
                return value.strip()
        return None

    def read(self, data: bytes) -> None:
        # RFC 8446 section 5.1: the type of a record that holds a message of the handshake.
        self.encrypted |= self.length == 0 and data[0] == 22
        self.length += len(data)
        if self.encrypted:
            return
        self.rest += data
        if not self.upgraded:
            head, end, rest = bytes(self.rest).partition(b"\r\n\r\n")
            if not end:
                return
            self.head, self.upgraded, self.rest = head, True, bytearray(rest)
        while self.read_frame():
            pass

    def read_frame(self) -> bool:
        """RFC 6455 section 5.2. Whether a frame was there; of the payload of data, its length is enough."""
        skipped = min(self.skip, len(self.rest))
        del self.rest[:skipped]
        self.skip -= skipped
        if self.skip or len(self.rest) < 2:
            return False
        first, second = self.rest[:2]
        extended = {126: 2, 127: 8}.get(second & 0x7F, 0)
        key = 2 + extended
        header = key + (4 if second & 0x80 else 0)
        length = int.from_bytes(self.rest[2:key]) if extended else second & 0x7F
        opcode = first & 0x0F
        if len(self.rest) < header + (length if opcode >= 8 else 0):
            return False
        if first & 0x30 or (first & 0x40 and opcode not in (1, 2)):
            raise Trouble(f"reserved bits in {bytes(self.rest[:header]).hex(' ')}")
        if opcode >= 8:
            masking = bytes(self.rest[key:header]) or bytes(4)
            payload = bytes(byte ^ masking[at % 4] for at, byte in enumerate(self.rest[header : header + length]))
            {8: self.closes, 9: self.pings, 10: self.pongs}[opcode].append(payload)
            header, length = header + length, 0
        else:
            self.frames["fragments" if opcode == 0 else "compressed" if first & 0x40 else "plain"] += 1
        del self.rest[:header]
        self.skip = length
        return True


class Relay:
    """One connection. `client` and `server` are what these have sent."""

    def __init__(self, port: int):
        self.to = port
        self.client, self.server = Direction(), Direction()
        self.trouble: Exception | None = None
        self.done = asyncio.Event()

    async def __aenter__(self) -> "Relay":
        self.listener = await asyncio.start_server(self.pass_on, "127.0.0.1", 0)
        self.port = self.listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_) -> None:
        self.listener.close()

    async def pass_on(self, reader, writer) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.to)
        await asyncio.gather(
            self.copy(reader, server_writer, self.client), self.copy(server_reader, writer, self.server)
        )
        self.done.set()

    async def copy(self, reader, writer, direction: Direction) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 18):
                try:
                    direction.read(data)
                except Trouble as trouble:
                    self.trouble = trouble
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        with contextlib.suppress(ConnectionError):
            if reader.at_eof():
                return
            writer.close()
