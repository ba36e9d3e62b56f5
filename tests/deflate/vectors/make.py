#!/usr/bin/env python3
"""Writes zlib.txt: messages as zlib compresses them, through Python's zlib module.

A line starts a connection: "connection BITS LEVEL takeover|alone", or states a message of it:
"message PAYLOAD LENGTH CRC32", where PAYLOAD is what RFC 7692 puts on the wire, in hex, and LENGTH and CRC32 are of the
message itself.
"""

import random
import zlib

random.seed(7692)
WORDS = [bytes(random.choices(b"abcdefghij", k=random.randint(2, 9))) for _ in range(60)]


def message(n):
    if n % 7 == 3:
        return b""
    if n % 7 == 5:
        return random.randbytes(40 + n)
    return b" ".join(random.choices(WORDS, k=random.randint(1, 90)))


print("# zlib", zlib.ZLIB_RUNTIME_VERSION)
for bits in range(9, 16):
    for level, takeover in [(1, True), (6, True), (9, False)]:
        print("connection", bits, level, "takeover" if takeover else "alone")
        engine = zlib.compressobj(level, zlib.DEFLATED, -bits)
        for n in range(8):
            if not takeover:
                engine = zlib.compressobj(level, zlib.DEFLATED, -bits)
            data = message(n)
            if n == 6 and takeover:
                # A final block, and what RFC 7692 section 7.2.3.4 puts behind it; the engine starts again.
                payload = engine.compress(data) + engine.flush(zlib.Z_FINISH) + b"\x00"
                engine = zlib.compressobj(level, zlib.DEFLATED, -bits)
            else:
                payload = engine.compress(data) + engine.flush(zlib.Z_SYNC_FLUSH)
                assert payload.endswith(b"\x00\x00\xff\xff")
                payload = payload[:-4] or b"\x00"
            print("message", payload.hex(), len(data), zlib.crc32(data))
