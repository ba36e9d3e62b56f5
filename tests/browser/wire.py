"""A relay between the browser and a server."""

import contextlib
import re
import socket
import threading

from chromium import Trouble


class Wire:
    """A relay in front of the server that reads along. The first frame of a compressed message has RSV1 set."""

    def __init__(self, server: str):
        host, _, port = server.partition(":")
        self.server = host, int(port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.compressed = {"the browser": 0, "the server": 0}
        self.secure = {"the browser": 0, "the server": 0}  # connections that began with a record of TLS
        self.connections = []
        self.is_cut = False
        self.answers = set()  # Sec-WebSocket-Extensions, as the server has answered it

    def __enter__(self) -> "Wire":
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.listener.close()

    def cut(self) -> None:
        """Ends all connections, and every new one."""
        self.is_cut = True
        for connection in self.connections:
            with contextlib.suppress(OSError):  # it has ended already
                connection.shutdown(socket.SHUT_RDWR)
        self.connections.clear()

    def mend(self) -> None:
        self.is_cut = False

    def accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                browser, _ = self.listener.accept()
                if self.is_cut:
                    browser.close()
                    continue
                try:
                    server = socket.create_connection(self.server)
                except ConnectionError:  # it does not run
                    browser.close()
                    continue
                self.connections += browser, server
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
