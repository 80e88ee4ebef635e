"""Bodies and clothes: limbs, torso, skirts, shoes, each a tube along the bones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from demo.tailor.shapes import UP, Mesh, Point, Station, Weights, blend, rounded, smooth

# A band of a limb: from and to (0 at the body, 1 at the wrist or ankle), swatch, and metres added
# to the radius.
Band = tuple[float, float, str, float]

_ARM = ((0.05, 0.024), (0.1, 0.0405), (0.16, 0.041), (0.25, 0.036), (0.31, 0.0345),
        (0.40, 0.03), (0.455, 0.0245))  # fmt: skip
_LEG = ((0.70, 0.072), (0.63, 0.07), (0.54, 0.062), (0.45, 0.052), (0.375, 0.047), (0.29, 0.046),
        (0.2, 0.042), (0.09, 0.034))  # fmt: skip
_TORSO = ((0.645, 0.094, 0.078), (0.70, 0.116, 0.09), (0.77, 0.106, 0.082),
          (0.84, 0.095, 0.074), (0.92, 0.102, 0.078), (0.99, 0.11, 0.078),
          (1.045, 0.092, 0.066), (1.08, 0.05, 0.046))  # fmt: skip
_SPINE: tuple[tuple[float, Weights], ...] = (
    (0.70, {"hips": 1.0}),
    (0.81, {"spine": 1.0}),
    (0.90, {"chest": 1.0}),
    (1.0, {"upperChest": 1.0}),
)


def spine(y: float) -> Weights:
    """The bones that carry a torso vertex at height `y`."""
    for (low, a), (high, b) in pairwise(_SPINE):
        if y <= high:
            return blend(a, b, max(0.0, (y - low) / (high - low)))
    return _SPINE[-1][1]


def torso(mesh: Mesh, bands: Sequence[tuple[float, float, str, float]], plump: float = 0.0) -> None:
    """`bands`: from and to height, swatch, metres added; `plump` rounds the belly."""
    rows = smooth([Station((0, y, 0), w, d, spine(y)) for y, w, d in _TORSO], 2)
    for low, high, swatch, more in bands:
        inside = [s for s in rows if low <= s.at[1] <= high]
        grown = []
        for s in inside:
            belly = plump * max(0.0, 1 - abs(s.at[1] - 0.8) / 0.26)
            at = (0.0, s.at[1], 0.25 * belly)
            grown.append(Station(at, s.wide + more + belly, s.deep + more + belly, spine(s.at[1])))
        mesh.tube(grown, swatch, segments=16)


def neck(mesh: Mesh, swatch: str) -> None:
    stations = [
        Station((0, 1.05, 0), 0.04, 0.038, {"upperChest": 1.0}),
        Station((0, 1.09, 0), 0.035, 0.034, {"neck": 1.0}),
        Station((0, 1.15, 0.008), 0.036, 0.034, {"head": 1.0}),
    ]
    mesh.tube(stations, swatch, segments=12)


def arms(mesh: Mesh, bands: Sequence[Band], hand: str, thick: float = 1.0) -> None:
    for side, sign in (("left", 1), ("right", -1)):
        joints = (
            (0.09, {"upperChest": 0.5, side + "Shoulder": 0.5}),
            (0.14, {side + "UpperArm": 1.0}),
            (0.25, {side + "UpperArm": 1.0}),
            (0.31, {side + "LowerArm": 1.0}),
            (0.43, {side + "LowerArm": 1.0}),
            (0.46, {side + "Hand": 1.0}),
        )
        rows = smooth(
            [Station((sign * x, 1.035, 0), r * thick, r * thick, _at(x, joints)) for x, r in _ARM],
            2,
        )
        for start, end, swatch, more in bands:
            mesh.tube(_band(rows, start, end, more), swatch, segments=10)
        palm: Weights = {side + "Hand": 1.0}
        k = 0.5 + 0.5 * thick
        mesh.tube(
            rounded(smooth([
                Station((sign * 0.45, 1.035, 0), 0.022 * k, 0.024 * k, palm),
                Station((sign * 0.485, 1.035, 0.002), 0.021 * k, 0.034 * k, palm),
                Station((sign * 0.53, 1.033, 0.002), 0.018 * k, 0.031 * k, palm),
            ], 2)),
            hand,
        )  # fmt: skip
        mesh.tube(
            rounded([
                Station((sign * 0.47, 1.032, 0.018), 0.012 * k, 0.012 * k, palm),
                Station((sign * 0.503, 1.03, 0.045 * k), 0.0105 * k, 0.0105 * k, palm),
            ]),
            hand,
            segments=8,
            hint=UP,
        )  # fmt: skip


def legs(mesh: Mesh, bands: Sequence[Band], shoe: str, sole: str, thick: float = 1.0) -> None:
    for side, sign in (("left", 1), ("right", -1)):
        joints = (
            (-0.70, {"hips": 0.6, side + "UpperLeg": 0.4}),
            (-0.62, {side + "UpperLeg": 1.0}),
            (-0.43, {side + "UpperLeg": 1.0}),
            (-0.33, {side + "LowerLeg": 1.0}),
            (-0.12, {side + "LowerLeg": 1.0}),
            (-0.08, {side + "Foot": 1.0}),
        )
        rows = smooth(
            [
                Station(
                    (sign * 0.06, y, 0),
                    r * min(thick, 1 + 0.5 * (thick - 1)),
                    r * thick,
                    _at(-y, joints),
                )
                for y, r in _LEG
            ],
            2,
        )
        for start, end, swatch, more in bands:
            mesh.tube(_band(rows, start, end, more), swatch, segments=12)
        _shoe(mesh, side, sign, shoe, sole)


def _shoe(mesh: Mesh, side: str, sign: int, shoe: str, sole: str) -> None:
    outline = ((-0.058, 0.03, 0.036), (-0.02, 0.042, 0.05), (0.035, 0.045, 0.047),
               (0.085, 0.047, 0.039), (0.118, 0.036, 0.026))  # fmt: skip

    def stations(lift: float, more: float) -> list[Station]:
        return [
            Station(
                (sign * 0.062, 0.042 + lift, z),
                w + more,
                h,
                {side + "Foot": 1.0} if z < 0.05 else {side + "Toes": 1.0},
            )
            for z, w, h in outline
        ]

    def floor(level: float, top: float) -> object:
        return lambda p: (p[0], max(level, min(top, p[1])), p[2])

    shape = floor(0.004, 0.12)
    mesh.tube(rounded(smooth(stations(0, 0), 2)), shoe, hint=UP, shape=shape)  # type: ignore[arg-type]
    shape = floor(0.0, 0.017)
    mesh.tube(rounded(smooth(stations(-0.02, 0.004), 2)), sole, hint=UP, shape=shape)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Skirt:
    top: float
    bottom: float
    flare: float
    pleats: int = 0


def skirt(mesh: Mesh, cut: Skirt, swatch: str, trim: str | None = None) -> None:
    """A flared cloth carried by the hips and, further down, by each leg on its side."""
    segments = 28
    heights = [cut.top + (cut.bottom - cut.top) * t for t in (0, 0.18, 0.4, 0.62, 0.84, 1.0)]

    def ring(y: float, colour: str, more: float = 0.0) -> list[int]:
        t = (cut.top - y) / (cut.top - cut.bottom)
        row = []
        for k in range(segments):
            angle = 2 * math.pi * k / segments
            wave = 1 + (0.05 * t * math.cos(cut.pleats * angle) if cut.pleats else 0)
            w = (0.104 + (cut.flare * t**0.75) + more) * wave
            d = (0.082 + (cut.flare * 0.92 * t**0.75) + more) * wave
            at: Point = (w * math.sin(angle), y, d * math.cos(angle))
            side = max(-1.0, min(1.0, at[0] / 0.08))
            follow = 0.62 * t
            bones: Weights = {
                "hips": 1 - follow,
                "leftUpperLeg": follow * (1 + side) / 2,
                "rightUpperLeg": follow * (1 - side) / 2,
            }
            if t < 0.15:
                bones = spine(y)
            row.append(mesh.vertex(at, colour, bones))
        return row

    mesh.grid([ring(y, swatch) for y in reversed(heights)], closed=True)
    if trim:
        low = cut.bottom + 0.012
        mesh.grid([ring(low, trim, 0.002), ring(low + 0.018, trim, 0.002)], closed=True)


def _at(x: float, joints: Sequence[tuple[float, Weights]]) -> Weights:
    if x <= joints[0][0]:
        return joints[0][1]
    for (low, a), (high, b) in pairwise(joints):
        if x <= high:
            return blend(a, b, (x - low) / (high - low))
    return joints[-1][1]


def _band(rows: Sequence[Station], start: float, end: float, more: float) -> list[Station]:
    last = len(rows) - 1
    chosen = rows[round(start * last) : round(end * last) + 1]
    return [Station(s.at, s.wide + more, s.deep + more, s.bones) for s in chosen]
