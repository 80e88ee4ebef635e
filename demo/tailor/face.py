"""The face as a drawing: one state per expression, laid on the head; a morph is the way from one
state to another."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from demo.tailor.head import Head
from demo.tailor.shapes import Mesh, Point, sub

EYE_X, EYE_Y, EYE_W = 0.064, 1.232, 0.036
MOUTH_Y = 1.163
BROW_Y = EYE_Y + 0.062
_COLUMNS = 12


@dataclass(frozen=True)
class Face:
    """`open` 1 is the eye at rest, 0 shut; `arc` bends the shut lid (1 laughs); `slant` lowers
    the inner
    (angry, 1) or outer (sad, -1) lid; mouth sizes in metres."""

    open_left: float = 1.0
    open_right: float = 1.0
    arc: float = -1.0
    slant: float = 0.0
    look_x: float = 0.0
    look_y: float = 0.0
    iris: float = 1.0
    brow: float = 0.0
    tilt: float = 0.0
    mouth_width: float = 0.021
    mouth_open: float = 0.0
    mouth_curve: float = 0.55


REST = Face()
# Every VRM 1.0 preset but `neutral`, which is the face at rest.
EXPRESSIONS: dict[str, Face] = {
    "happy": replace(REST, open_left=0, open_right=0, arc=1, brow=0.008, mouth_width=0.031,
                     mouth_open=0.026, mouth_curve=1.1),
    "angry": replace(REST, open_left=0.82, open_right=0.82, slant=1, brow=-0.01, tilt=-1,
                     mouth_curve=-1.1, mouth_open=0.004),
    "sad": replace(REST, open_left=0.72, open_right=0.72, slant=-1, look_y=-0.3, brow=0.004, tilt=1,
                   mouth_curve=-1.2, mouth_width=0.017),
    "relaxed": replace(REST, open_left=0.36, open_right=0.36, brow=0.006, mouth_curve=1.2,
                       mouth_width=0.025),
    "surprised": replace(REST, open_left=1.16, open_right=1.16, iris=0.78, brow=0.017,
                         mouth_width=0.013, mouth_open=0.024, mouth_curve=0),
    "aa": replace(REST, mouth_width=0.022, mouth_open=0.032, mouth_curve=0.3),
    "ih": replace(REST, mouth_width=0.027, mouth_open=0.011, mouth_curve=0.5),
    "ou": replace(REST, mouth_width=0.009, mouth_open=0.012, mouth_curve=0),
    "ee": replace(REST, mouth_width=0.026, mouth_open=0.019, mouth_curve=0.4),
    "oh": replace(REST, mouth_width=0.014, mouth_open=0.025, mouth_curve=0),
    "blink": replace(REST, open_left=0, open_right=0),
    "blinkLeft": replace(REST, open_left=0),
    "blinkRight": replace(REST, open_right=0),
    "lookUp": replace(REST, look_y=1),
    "lookDown": replace(REST, look_y=-1),
    "lookLeft": replace(REST, look_x=1),
    "lookRight": replace(REST, look_x=-1),
}  # fmt: skip


def draw(head: Head, *, blush: bool = True) -> tuple[Mesh, dict[str, list[Point]]]:
    """The face at rest, and for each expression how far every vertex moves."""
    rest = _drawn(head, REST, blush)
    morphs = {}
    for name, state in EXPRESSIONS.items():
        there = _drawn(head, state, blush)
        pairs = zip(there.positions, rest.positions, strict=True)
        morphs[name] = [sub(a, b) for a, b in pairs]
    return rest, morphs


def _drawn(head: Head, face: Face, blush: bool) -> Mesh:
    mesh = Mesh()
    for side in (1, -1):
        _eye(mesh, head, face, side)
        _brow(mesh, head, face, side)
        if blush:
            _disc(mesh, head, (side * 0.099, 1.187), (0.021, 0.011), "blush", 0.003)
    _mouth(mesh, head, face)
    return mesh


def _strip(
    mesh: Mesh,
    head: Head,
    upper: Callable[[float], tuple[float, float]],
    lower: Callable[[float], tuple[float, float]],
    swatch: str,
    off: float,
) -> None:
    """The band between two curves over u = -1..1, each giving (x, y)."""
    rows = []
    for curve in (lower, upper):
        points = sorted(curve(2 * i / _COLUMNS - 1) for i in range(_COLUMNS + 1))
        rows.append([mesh.vertex(head.front(*p, off), swatch, {"head": 1.0}) for p in points])
    mesh.grid(rows)


def _disc(
    mesh: Mesh,
    head: Head,
    at: tuple[float, float],
    radii: tuple[float, float],
    swatch: str,
    off: float,
    clip: Callable[[float, float], tuple[float, float]] = lambda x, y: (x, y),
) -> None:
    bones = {"head": 1.0}
    centre = mesh.vertex(head.front(*clip(*at), off), swatch, bones)
    ring = []
    for i in range(16):
        angle = 2 * math.pi * i / 16
        x, y = at[0] + radii[0] * math.cos(angle), at[1] + radii[1] * math.sin(angle)
        ring.append(mesh.vertex(head.front(*clip(x, y), off), swatch, bones))
    for a, b in zip(ring, [*ring[1:], ring[0]], strict=True):
        mesh.triangles.append((a, b, centre))


def _eye(mesh: Mesh, head: Head, face: Face, side: int) -> None:
    opened = face.open_left if side > 0 else face.open_right

    def shut(u: float) -> float:
        return EYE_Y - 0.014 - 0.017 * face.arc * u * u + 0.012 * face.arc

    def lid(u: float) -> float:
        # u = 1 is the outer corner on both sides.
        bow = math.pow(max(0.0, 1 - abs(u) ** 2.6), 0.6)
        slant = min(0.0, 0.016 * face.slant * u)
        top = EYE_Y + 0.04 * bow + slant + 0.003 * u
        return shut(u) + (top - shut(u)) * opened

    def rim(u: float) -> float:
        bow = math.pow(max(0.0, 1 - abs(u) ** 2.4), 0.6)
        low = EYE_Y - 0.036 * bow + 0.003 * u
        return shut(u) + (low - shut(u)) * opened

    def x(u: float) -> float:
        return side * (EYE_X + EYE_W * u)

    def clip(px: float, py: float) -> tuple[float, float]:
        u = max(-0.97, min(0.97, (side * px - EYE_X) / EYE_W))
        return side * (EYE_X + EYE_W * u), max(rim(u), min(lid(u), py))

    _strip(mesh, head, lambda u: (x(u), lid(u)), lambda u: (x(u), rim(u)), "eye", 0.0015)
    cx, cy = side * (EYE_X - 0.002) + 0.012 * face.look_x, EYE_Y + 0.001 + 0.013 * face.look_y
    k = face.iris
    _disc(mesh, head, (cx, cy), (0.0265 * k, 0.035 * k), "irisDark", 0.0022, clip)
    _disc(mesh, head, (cx, cy - 0.007), (0.0205 * k, 0.025 * k), "iris", 0.0027, clip)
    _disc(mesh, head, (cx, cy + 0.003), (0.0125 * k, 0.017 * k), "pupil", 0.0032, clip)
    _disc(mesh, head, (cx + 0.009, cy + 0.015), (0.0085, 0.0095), "glint", 0.0037, clip)
    _disc(mesh, head, (cx - 0.009, cy - 0.016), (0.0045, 0.005), "glint", 0.0037, clip)

    def thick(u: float) -> float:
        return 0.0022 + 0.0068 * max(0.0, 1 - abs(u - 0.3) ** 2)

    def lash(u: float) -> tuple[float, float]:
        wing = 0.004 * max(0.0, u - 0.6) / 0.4
        return side * (EYE_X + EYE_W * 1.06 * u), lid(u) + thick(u) + wing

    def lash_low(u: float) -> tuple[float, float]:
        return side * (EYE_X + EYE_W * 1.06 * u), lid(u) - 0.0018

    _strip(mesh, head, lash, lash_low, "lash", 0.0042)


def _brow(mesh: Mesh, head: Head, face: Face, side: int) -> None:
    def y(u: float) -> float:
        return BROW_Y + face.brow + 0.006 * (1 - u * u) - 0.012 * face.tilt * u

    def edge(sign: float) -> Callable[[float], tuple[float, float]]:
        half = 0.0032
        return lambda u: (
            side * (EYE_X + 0.003 + 0.029 * u),
            y(u) + sign * half * (1 - max(0.0, u) ** 2 * 0.8),
        )

    _strip(mesh, head, edge(1), edge(-1), "brow", 0.0046)


def _mouth(mesh: Mesh, head: Head, face: Face) -> None:
    def middle(u: float) -> float:
        return MOUTH_Y + face.mouth_curve * 0.009 * (u * u - 0.4)

    def bow(u: float) -> float:
        return math.sqrt(max(0.0, 1 - u * u))

    def x(u: float) -> float:
        return face.mouth_width * u

    line = 0.0016

    def upper(u: float) -> tuple[float, float]:
        return x(u), middle(u) + line * (0.35 + 0.65 * bow(u)) + 0.25 * face.mouth_open * bow(u)

    def lower(u: float) -> tuple[float, float]:
        return x(u), middle(u) - line * (0.35 + 0.65 * bow(u)) - 0.75 * face.mouth_open * bow(u)

    def tongue(u: float) -> tuple[float, float]:
        return 0.8 * x(u), lower(0.8 * u)[1] + 0.42 * face.mouth_open * bow(u)

    def tongue_low(u: float) -> tuple[float, float]:
        return 0.8 * x(u), lower(0.8 * u)[1] + 0.0004

    _strip(mesh, head, upper, lower, "mouth", 0.0016)
    _strip(mesh, head, tongue, tongue_low, "tongue", 0.0021)
