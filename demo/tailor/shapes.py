"""Surfaces made of tubes and strips; every vertex knows its colour swatch and its bones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

Point = tuple[float, float, float]
Weights = dict[str, float]

UP: Point = (0.0, 1.0, 0.0)
FRONT: Point = (0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Station:
    """One cross-section of a tube: an ellipse at `at`, `wide` across and `deep` towards the
    hint, in metres."""

    at: Point
    wide: float
    deep: float
    bones: Weights


@dataclass
class Mesh:
    """Triangles over vertices that carry a swatch name and bone weights; counter-clockwise is
    outside."""

    positions: list[Point] = field(default_factory=list)
    swatches: list[str] = field(default_factory=list)
    bones: list[Weights] = field(default_factory=list)
    triangles: list[tuple[int, int, int]] = field(default_factory=list)

    def vertex(self, at: Point, swatch: str, bones: Weights) -> int:
        self.positions.append(at)
        self.swatches.append(swatch)
        self.bones.append(bones)
        return len(self.positions) - 1

    def grid(self, rows: Sequence[Sequence[int]], *, closed: bool = False) -> None:
        """Join rows of vertices of equal length; `closed` also joins each row's end to its
        start."""
        for lower, upper in pairwise(rows):
            count = len(lower)
            for i in range(count if closed else count - 1):
                j = (i + 1) % count
                self.triangles.append((lower[i], lower[j], upper[i]))
                self.triangles.append((lower[j], upper[j], upper[i]))

    def tube(
        self,
        stations: Sequence[Station],
        swatch: str,
        *,
        segments: int = 12,
        hint: Point = FRONT,
        shape: Callable[[Point], Point] | None = None,
    ) -> None:
        """A closed tube through the stations; `hint` says where `deep` points, `shape` may move
        each vertex."""
        rows = []
        for i, station in enumerate(stations):
            ahead, behind = stations[min(i + 1, len(stations) - 1)], stations[max(i - 1, 0)]
            along = unit(sub(ahead.at, behind.at))
            deep = unit(sub(hint, scale(along, dot(hint, along))))
            wide = cross(along, deep)
            row = []
            for k in range(segments):
                angle = 2 * math.pi * k / segments
                at = add(
                    station.at,
                    add(
                        scale(deep, station.deep * math.cos(angle)),
                        scale(wide, station.wide * math.sin(angle)),
                    ),
                )
                row.append(self.vertex(shape(at) if shape else at, swatch, station.bones))
            rows.append(row)
        self.grid(rows, closed=True)
        for row, station, flip in ((rows[0], stations[0], True), (rows[-1], stations[-1], False)):
            at = shape(station.at) if shape else station.at
            centre = self.vertex(at, swatch, station.bones)
            for a, b in zip(row, [*row[1:], row[0]], strict=True):
                self.triangles.append((b, a, centre) if flip else (a, b, centre))

    def ball(
        self, at: Point, radii: Point, swatch: str, bones: Weights, *, segments: int = 10
    ) -> None:
        """An ellipsoid with `radii` along x, y and z."""
        rings = max(4, segments // 2)
        stations = []
        for i in range(rings + 1):
            angle = math.pi * (0.04 + 0.92 * i / rings)
            y, r = -math.cos(angle), math.sin(angle)
            stations.append(
                Station((at[0], at[1] + y * radii[1], at[2]), r * radii[0], r * radii[2], bones)
            )
        self.tube(stations, swatch, segments=segments)

    def normals(self) -> list[Point]:
        """Smooth normals; vertices in one place with one swatch share theirs, so tubes show no
        seam."""
        key = [(*at, s) for at, s in zip(self.positions, self.swatches, strict=True)]
        sums: dict[tuple[object, ...], Point] = {}
        for a, b, c in self.triangles:
            pa, pb, pc = self.positions[a], self.positions[b], self.positions[c]
            face = cross(sub(pb, pa), sub(pc, pa))
            for v in (a, b, c):
                sums[key[v]] = add(sums.get(key[v], (0.0, 0.0, 0.0)), face)
        return [unit(sums.get(k, FRONT)) for k in key]


def smooth(stations: Sequence[Station], steps: int) -> list[Station]:
    """The stations with `steps` Catmull-Rom sections between each two: few numbers, round forms."""
    out = []
    for i in range(len(stations) - 1):
        p0, p1 = stations[max(i - 1, 0)], stations[i]
        p2, p3 = stations[i + 1], stations[min(i + 2, len(stations) - 1)]
        for k in range(steps):
            t = k / steps

            def mix(a: float, b: float, c: float, d: float, t: float = t) -> float:
                return 0.5 * (
                    2 * b
                    + (c - a) * t
                    + (2 * a - 5 * b + 4 * c - d) * t * t
                    + (3 * b - a - 3 * c + d) * t**3
                )

            at = tuple(mix(*q) for q in zip(p0.at, p1.at, p2.at, p3.at, strict=True))
            out.append(
                Station(
                    (at[0], at[1], at[2]),
                    max(0.001, mix(p0.wide, p1.wide, p2.wide, p3.wide)),
                    max(0.001, mix(p0.deep, p1.deep, p2.deep, p3.deep)),
                    blend(p1.bones, p2.bones, t),
                )
            )
    return [*out, stations[-1]]


def rounded(stations: Sequence[Station]) -> list[Station]:
    """The stations with a round end added at both ends."""
    first, last = stations[0], stations[-1]
    return [*_cap(first, stations[1])[::-1], *stations, *_cap(last, stations[-2])]


def _cap(end: Station, inner: Station) -> list[Station]:
    out = unit(sub(end.at, inner.at))
    reach = min(end.wide, end.deep)
    return [
        replace(
            end,
            at=add(end.at, scale(out, reach * math.sin(a))),
            wide=end.wide * math.cos(a),
            deep=end.deep * math.cos(a),
        )
        for a in (0.7, 1.3)
    ]


def blend(a: Weights, b: Weights, t: float) -> Weights:
    """From `a` at t=0 to `b` at t=1."""
    names = [*a, *(n for n in b if n not in a)]
    return {n: a.get(n, 0.0) * (1 - t) + b.get(n, 0.0) * t for n in names}


def mirrored(point: Point) -> Point:
    return (-point[0], point[1], point[2])


def add(a: Point, b: Point) -> Point:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def sub(a: Point, b: Point) -> Point:
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def scale(a: Point, k: float) -> Point:
    return (a[0] * k, a[1] * k, a[2] * k)


def dot(a: Point, b: Point) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Point, b: Point) -> Point:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def unit(a: Point) -> Point:
    length = math.sqrt(dot(a, a))
    return scale(a, 1 / length) if length > 1e-12 else FRONT


def bounds(points: Iterable[Point]) -> tuple[list[float], list[float]]:
    columns = list(zip(*points, strict=True))
    return [min(c) for c in columns], [max(c) for c in columns]
