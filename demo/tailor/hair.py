"""Hair, ears, tails and hats: caps and locks on the head, the long ones hanging on spring bones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from demo.tailor.head import CENTRE, HALF, Head
from demo.tailor.shapes import (
    UP,
    Mesh,
    Point,
    Station,
    Weights,
    add,
    blend,
    mirrored,
    rounded,
    scale,
    smooth,
    sub,
)  # fmt: skip

HEAD: Weights = {"head": 1.0}
TAPER = (0.75, 1.0, 1.0, 0.88, 0.62, 0.06)


@dataclass(frozen=True)
class Chain:
    """Spring bones through `points`, hung on the bone `parent`."""

    name: str
    parent: str
    points: tuple[Point, ...]
    stiffness: float = 0.9
    gravity: float = 0.15
    drag: float = 0.4
    radius: float = 0.02

    def bone(self, i: int) -> str:
        return f"{self.name}{i}"

    def bones(self, t: float) -> Weights:
        """The weights at `t` of the way along."""
        x = t * (len(self.points) - 1) - 0.5
        i = max(0, min(len(self.points) - 2, math.floor(x)))
        j = min(len(self.points) - 2, i + 1)
        return blend({self.bone(i): 1.0}, {self.bone(j): 1.0}, max(0.0, min(1.0, x - i)))


def cap(
    mesh: Mesh, head: Head, swatch: str, hairline: Callable[[float], float], off: float = 0.018
) -> None:
    """A shell over the skull down to `hairline(azimuth)`."""
    columns, rows = 28, 8
    grid = []
    for r in range(rows + 1):
        row = []
        for c in range(columns):
            azimuth = 2 * math.pi * c / columns
            low = (hairline(azimuth) - CENTRE) / (HALF + off)
            angle = 0.03 + (math.acos(max(-0.98, min(0.98, low))) - 0.03) * r / rows
            y = CENTRE + (HALF + off) * math.cos(angle)
            row.append(mesh.vertex(head.around(azimuth, y, off), swatch, HEAD))
        grid.append(row)
    mesh.grid(grid[::-1], closed=True)


def hairline(front: float, side: float, back: float) -> Callable[[float], float]:
    """Heights of the edge over the forehead, the ears and the nape."""

    def line(azimuth: float) -> float:
        c = math.cos(azimuth)
        return (
            side
            + (front - side) * math.pow(max(0.0, c), 0.8)
            + (back - side) * math.pow(max(0.0, -c), 0.6)
        )

    return line


def lock(
    mesh: Mesh,
    path: Sequence[Point],
    swatch: str,
    width: float,
    *,
    depth: float = 0.4,
    chain: Chain | None = None,
    taper: Sequence[float] = TAPER,
    segments: int = 6,
    steps: int = 2,
) -> None:
    """A pointed strand along the path; `chain` makes it swing."""
    stations = []
    for i, at in enumerate(path):
        t = i / (len(path) - 1)
        x = t * (len(taper) - 1)
        k = min(int(x), len(taper) - 2)
        wide = width * (taper[k] + (taper[k + 1] - taper[k]) * (x - k))
        stations.append(Station(at, wide, wide * depth, chain.bones(t) if chain else HEAD))
    middle = path[len(path) // 2]
    outward = sub(middle, (0.0, middle[1], 0.0))
    mesh.tube(smooth(stations, steps), swatch, segments=segments, hint=outward)


def bangs(
    mesh: Mesh,
    head: Head,
    swatch: str,
    tips: Sequence[tuple[float, float, float]],
    top: float = 1.425,
) -> None:
    """Locks down the forehead; each of `tips` is (azimuth at the root, azimuth at the tip,
    height of the tip)."""
    for root, tip, low in tips:
        path = []
        for i in range(6):
            t = i / 5
            y = top + (low - top) * t
            az = root + (tip - root) * t**1.3
            path.append(head.around(az, y, 0.017 + 0.012 * math.sin(math.pi * min(1, t * 1.1))))
        lock(mesh, path, swatch, 0.042, depth=0.34, steps=1)


def curtain(
    mesh: Mesh,
    head: Head,
    swatch: str,
    azimuths: Sequence[float],
    tip: float,
    *,
    width: float = 0.05,
    chains: Sequence[Chain] = (),
    flare: float = 0.0,
    top: float = 1.36,
) -> None:
    """Locks hanging around the back and the sides down to the height `tip`."""
    for n, az in enumerate(azimuths):
        path = []
        low = tip + (0.02 if n % 2 else 0.0)
        for i in range(7):
            t = i / 6
            y = top + (low - top) * t
            x, _, z = head.around(az, max(y, CENTRE - 0.04), 0.02)
            reach = 1 + flare * max(0.0, t - 0.35) ** 1.5
            path.append((x * reach, y, z * reach if z > 0 else z * reach - 0.004))
        chain = min(chains, key=lambda c: _gap(c.points[-1], path[-1])) if chains else None
        lock(mesh, path, swatch, width, chain=chain, steps=1)


def _gap(a: Point, b: Point) -> float:
    return sum((p - q) ** 2 for p, q in zip(a, b, strict=True))


def both(chain: Chain) -> tuple[Chain, Chain]:
    """A chain and its mirror image."""
    return (
        Chain(**{**vars(chain), "name": "left" + chain.name}),
        Chain(**{**vars(chain), "name": "right" + chain.name,
                 "points": tuple(mirrored(p) for p in chain.points)}),
    )  # fmt: skip


def swinging(
    mesh: Mesh,
    chain: Chain,
    radii: Sequence[float],
    swatch: str,
    *,
    tip: str | None = None,
    segments: int = 9,
) -> None:
    """A round tube along a chain, as tails and twin tails are; `tip` colours the last third."""
    path = chain.points
    stations = [
        Station(p, r, r, chain.bones(i / (len(path) - 1)))
        for i, (p, r) in enumerate(zip(path, radii, strict=True))
    ]
    rows = smooth(stations, 3)
    hint = (1.0, 0.0, 0.12)
    if tip is None:
        mesh.tube(rows, swatch, segments=segments, hint=hint)
        return
    cut = len(rows) * 2 // 3
    mesh.tube(rows[: cut + 1], swatch, segments=segments, hint=hint)
    mesh.tube(rows[cut:], tip, segments=segments, hint=hint)


def pointed_ears(
    mesh: Mesh, outer: str, inner: str, height: float = 0.12, lean: float = 0.35
) -> None:
    for sign in (1, -1):
        base: Point = (sign * 0.088, 1.395, 0.0)
        up: Point = (sign * lean * height, height, 0.01)
        for swatch, size, forward in ((outer, 1.0, 0.0), (inner, 0.66, 0.0145)):
            stations = [
                Station(
                    add(
                        base,
                        add(scale(up, t), (0, 0.012 if forward else 0, forward * (1 - 0.6 * t))),
                    ),
                    0.056 * size * w,
                    0.024 * size * w,
                    HEAD,
                )
                for t, w in ((-0.1, 1.0), (0.35, 0.87), (0.7, 0.5), (1.0, 0.03))
            ]
            mesh.tube(smooth(stations, 2), swatch, segments=10)


def bow(mesh: Mesh, at: Point, size: float, swatch: str, knot: str, bones: Weights) -> None:
    """A ribbon tied in a bow."""
    for sign in (1, -1):
        stations = [
            Station(add(at, (sign * size * x, size * y, 0)), size * w, size * d, bones)
            for x, y, w, d in (
                (0.1, 0, 0.16, 0.14), (0.5, 0.08, 0.4, 0.2), (0.95, 0.14, 0.52, 0.2),
                (1.15, 0.15, 0.36, 0.08),
            )
        ]  # fmt: skip
        mesh.tube(rounded(smooth(stations, 2)), swatch, segments=10)
    mesh.ball(add(at, (0, 0, size * 0.05)), (size * 0.24, size * 0.26, size * 0.24), knot, bones)


def ball_on_stalk(mesh: Mesh, chain: Chain, stalk: str, ball: str, radius: float) -> None:
    swinging(mesh, chain, [0.007] * len(chain.points), stalk, segments=6)
    mesh.ball(chain.points[-1], (radius, radius, radius), ball, chain.bones(1.0))


__all__ = [
    "HEAD", "UP", "Chain", "ball_on_stalk", "bangs", "both", "bow", "cap", "curtain", "hairline",
    "lock", "pointed_ears", "swinging",
]  # fmt: skip
