"""The bytes of glTF 2.0: buffers with views and accessors, small pictures, the binary container."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

from demo.tailor.shapes import Point, bounds

FLOAT, USHORT, UBYTE = 5126, 5123, 5121


class Binary:
    """The buffer, with its views and accessors."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, int]] = []
        self.accessors: list[dict[str, Any]] = []

    def view(self, data: bytes, target: int | None = None) -> int:
        self.data += b"\0" * (-len(self.data) % 4)
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        if target:
            view["target"] = target
        self.data += data
        self.views.append(view)
        return len(self.views) - 1

    def accessor(self, data: bytes, component: int, kind: str, count: int, **more: Any) -> int:
        target = more.pop("target", None)
        self.accessors.append(
            {"bufferView": self.view(data, target), "componentType": component, "count": count,
             "type": kind, **more}
        )  # fmt: skip
        return len(self.accessors) - 1

    def vectors(self, points: list[Point], *, limits: bool) -> int:
        points = [rounded(p) for p in points]
        more = dict(zip(("min", "max"), bounds(points), strict=True)) if limits else {}
        data = b"".join(struct.pack("<3f", *p) for p in points)
        return self.accessor(data, FLOAT, "VEC3", len(points), target=34962, **more)

    def sparse(self, points: list[Point]) -> int:
        """Only the vertices that move: a morph touches a small part of the face."""
        points = [rounded(p) for p in points]
        moved = [i for i, p in enumerate(points) if p != (0.0, 0.0, 0.0)]
        low, high = bounds(points)
        self.accessors.append({
            "componentType": FLOAT, "count": len(points), "type": "VEC3", "min": low, "max": high,
            "sparse": {
                "count": len(moved),
                "indices": {"bufferView": self.view(struct.pack(f"<{len(moved)}H", *moved)),
                            "componentType": USHORT},
                "values": {"bufferView": self.view(
                    b"".join(struct.pack("<3f", *points[i]) for i in moved))},
            },
        })  # fmt: skip
        return len(self.accessors) - 1


def png(width: int, height: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    # Stored, not compressed: zlib versions compress differently, and this is 400 bytes.
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    stored = b"\x78\x01\x01" + struct.pack("<HH", len(rows), len(rows) ^ 0xFFFF) + rows
    data = stored + struct.pack(">I", zlib.adler32(rows))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def glb(gltf: dict[str, Any], data: bytes) -> bytes:
    text = json.dumps(gltf, separators=(",", ":"), sort_keys=True).encode()
    text += b" " * (-len(text) % 4)
    data += b"\0" * (-len(data) % 4)
    size = 12 + 8 + len(text) + 8 + len(data)
    return (
        struct.pack("<4sII", b"glTF", 2, size)
        + struct.pack("<I4s", len(text), b"JSON") + text
        + struct.pack("<I4s", len(data), b"BIN\0") + data
    )  # fmt: skip


def rounded(p: Point, digits: int = 4) -> Point:
    """Rounded, as a 32-bit float holds it; adding 0.0 turns -0.0 into 0.0."""
    x, y, z = struct.unpack("<3f", struct.pack("<3f", *(round(c, digits) + 0.0 for c in p)))
    return (x, y, z)


def linear(colour: int) -> list[float]:
    """sRGB to linear light, as glTF factors are (IEC 61966-2-1)."""
    out = []
    for byte in colour.to_bytes(3, "big"):
        c = byte / 255
        out.append(round(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4, 4))
    return out
