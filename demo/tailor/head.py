"""The form of the head: one surface that the skull, the hair and the face are all laid on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from demo.tailor.shapes import Mesh, Point, Station

CENTRE = 1.275
HALF = 0.165


@dataclass(frozen=True)
class Head:
    """`square` 2 is a ball, 4 nearly a box; `jaw` is how much narrower the chin is."""

    square: float = 2.25
    jaw: float = 0.16
    width: float = 0.154
    depth: float = 0.142
    face: float = 0.001  # how far before the skull the face is drawn

    def ring(self, y: float, off: float = 0.0) -> tuple[float, float, float]:
        """Half width, half depth and z of the middle of the section at height `y`, `off` metres
        outside."""
        t = max(-0.9999, min(0.9999, (y - CENTRE) / (HALF + off)))
        r = (1 - abs(t) ** self.square) ** (1 / self.square)
        low = max(0.0, -t)
        a = (self.width + off) * r * (1 - self.jaw * low**1.5)
        return a, (self.depth + off) * r, 0.012 + 0.012 * low

    def around(self, azimuth: float, y: float, off: float = 0.0) -> Point:
        """The point at an angle around the head: 0 is the front, a quarter turn its left."""
        a, b, z = self.ring(y, off)
        return (a * math.sin(azimuth), y, z + b * math.cos(azimuth))

    def front(self, x: float, y: float, off: float = 0.0) -> Point:
        """The point of the face straight before (x, y)."""
        a, b, z = self.ring(y)
        return (x, y, z + b * math.sqrt(max(0.0, 1 - (x / a) ** 2)) + off + self.face)

    def skull(self, mesh: Mesh, swatch: str) -> None:
        stations = []
        for i in range(15):
            y = CENTRE - HALF * math.cos(math.pi * (0.02 + 0.96 * i / 14))
            a, b, z = self.ring(y)
            stations.append(Station((0, y, z), a, b, {"head": 1.0}))
        mesh.tube(stations, swatch, segments=24)
