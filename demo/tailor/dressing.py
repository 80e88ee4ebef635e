"""Dressing a figure: its palette, and the pieces of clothing that are no plain tube."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from demo.tailor import body, hair
from demo.tailor.face import draw
from demo.tailor.hair import HEAD, Chain
from demo.tailor.head import Head
from demo.tailor.shapes import UP, Mesh, Station
from demo.tailor.vrm import Figure

_FACE = {
    "eye": (0xFFFFFF, 0xE9E6F2),
    "glint": (0xFFFFFF, 0xFFFFFF),
    "pupil": (0x2A1E33, 0x2A1E33),
    "lash": (0x3A2633, 0x3A2633),
    "mouth": (0x8E3A44, 0x8E3A44),
    "tongue": (0xE8808A, 0xE8808A),
}


@dataclass
class Look:
    """A figure being dressed."""

    name: str
    colours: dict[str, int]
    outline: int = 0x4A2F3A
    head: Head = field(default_factory=Head)
    blush: bool = True
    body: Mesh = field(default_factory=Mesh)
    chains: list[Chain] = field(default_factory=list)

    def finish(self) -> Figure:
        face, morphs = draw(self.head, blush=self.blush)
        # The face's own swatches first, then this look's, which may replace them.
        palette = dict(_FACE) | {n: (c, _shade(c)) for n, c in self.colours.items()}
        for flat in ("blush", "iris", "irisDark", "brow", "lash", "mouth", "eye"):
            if flat in self.colours:
                palette[flat] = (self.colours[flat], self.colours[flat])
        return Figure(self.name, self.body, face, morphs, self.chains, palette, self.outline)


def _shade(colour: int) -> int:
    """The same colour in shadow: darker, a little towards violet, so that shadows never look
    dirty."""
    r, g, b = colour.to_bytes(3, "big")
    return int.from_bytes(bytes((round(r * 0.83), round(g * 0.73), round(b * 0.83))), "big")


def base(look: Look, *, ears: bool = True) -> None:
    look.head.skull(look.body, "skin")
    body.neck(look.body, "skin")
    if ears:
        for sign in (1, -1):
            look.body.ball((sign * 0.152, 1.228, -0.005), (0.018, 0.032, 0.024), "skin", HEAD)


def hood_ring(
    mesh: Mesh, swatch: str, y: float = 1.05, radius: float = 0.085, thick: float = 0.034
) -> None:
    """A roll of cloth around the neck, deeper behind."""
    path, count = [], 24
    for i in range(count + 1):
        a = 2 * math.pi * i / count
        grow = 0.5 - 0.5 * math.cos(a)
        r = thick * (0.75 + 0.55 * grow)
        at = (radius * math.sin(a), y + 0.02 * grow, radius * math.cos(a) - 0.02 * grow)
        path.append(Station(at, r, r * 0.8, {"upperChest": 1.0}))
    mesh.tube(path, swatch, segments=10, hint=UP)


def carry(mesh: Mesh, bone: str, last: int) -> None:
    """Hang the newest `last` vertices on another bone than the one they were made for."""
    for i in range(len(mesh.bones) - last, len(mesh.bones)):
        mesh.bones[i] = {bone: 1.0}


def bib(mesh: Mesh, cloth: str, button: str) -> None:
    for sign, top in ((1, 1.055), (-1, 1.055)):
        strap = [
            (sign * 0.056, 0.93, 0.09),
            (sign * 0.06, 0.99, 0.094),
            (sign * 0.062, 1.045, 0.074),
            (sign * 0.062, top + 0.02, 0.02),
            (sign * 0.06, 1.05, -0.05),
            (sign * 0.045, 0.95, -0.095),
            (sign * 0.04, 0.87, -0.1),
        ]
        start = len(mesh.bones)
        hair.lock(mesh, strap, cloth, 0.019, depth=0.45, taper=(1, 1, 1, 1))
        mesh.ball(
            (sign * 0.056, 0.955, 0.105), (0.013, 0.013, 0.008), button, {"chest": 1.0}, segments=8
        )
        carry(mesh, "upperChest", len(mesh.bones) - start)
    plate = [
        Station((0, y, 0.052), w, 0.05, body.spine(y))
        for y, w in ((0.86, 0.07), (0.9, 0.074), (0.955, 0.07), (0.965, 0.06))
    ]
    mesh.tube(plate, cloth, segments=16)


def screen_of(mesh: Mesh, head: Head, swatch: str) -> None:
    """A rounded window on the front of the head, a little before it."""
    rows: list[list[int]] = []
    for j in range(9):
        v = -1 + 2 * j / 8
        reach = 0.128 * (1 - abs(v) ** 5) ** 0.3 if abs(v) < 1 else 0.07
        rows.append(
            [
                mesh.vertex(
                    head.front(reach * (-1 + 2 * i / 12), 1.228 + 0.093 * v, -0.0015), swatch, HEAD
                )
                for i in range(13)
            ]
        )
    mesh.grid(rows)


def hood_edge(mesh: Mesh, head: Head, swatch: str) -> None:
    """The padded rim around the face."""
    path = []
    for i in range(33):
        a = 2 * math.pi * i / 32
        x, y = 0.146 * math.sin(a), 1.24 + 0.142 * math.cos(a)
        _, _, fz = head.front(max(-0.13, min(0.13, x)), max(1.13, y), 0.0)
        path.append(Station((x, y, fz + 0.008), 0.013, 0.013, HEAD))
    mesh.tube(path, swatch, segments=7)
