"""WebSocket frames made by hand (RFC 6455, section 5.2)."""

import os
import struct

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    mask: bool = True,
    rsv: int = 0,
    key: bytes | None = None,
) -> bytes:
    """A frame as a browser sends it, or one that no browser would."""
    first = opcode | (0x80 if fin else 0) | rsv << 4
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, size | 0x80 * mask)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, 126 | 0x80 * mask, size)
    else:
        head = struct.pack("!BBQ", first, 127 | 0x80 * mask, size)
    if not mask:
        return head + payload
    key = key or os.urandom(4)
    return head + key + bytes(byte ^ key[i & 3] for i, byte in enumerate(payload))


def closing(code: int, reason: bytes = b"") -> bytes:
    """The payload of a close frame."""
    return struct.pack("!H", code) + reason
