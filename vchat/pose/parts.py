"""A pose taken apart as the wire sees it: clamped, normalized, bones and weights by number.

Both ends of the codec work on Parts; people work on Pose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, isfinite
from typing import TypeVar

from vchat import pose_body as body
from vchat.pose.rotation import normalized
from vchat.pose.value import BONES, EXPRESSIONS, Pose, Quaternion, Root, Vector
from vchat.pose_body import PoseError

T = TypeVar("T")
Gaze = tuple[float, float]

# (flag, first bone, bone after the last, mask bytes) of each bone section, in wire order.
SECTIONS = (
    (body.UPPER, 0, 14, body.MASK_BYTES[body.UPPER]),
    (body.LOWER, 14, 22, body.MASK_BYTES[body.LOWER]),
    (body.FINE, 22, 55, body.MASK_BYTES[body.FINE]),
)
NARROW_EXPRESSIONS = 6  # those whose mask bits fit in the first byte

WEIGHT_STEPS = 255.0
GAZE_STEP = 0.75  # degrees
_GAZE_MOST = 127

_HORIZONTAL_MOST = (body.HORIZONTAL_HALF - 1) / body.STEPS_PER_METRE
_VERTICAL_MOST = (body.VERTICAL_HALF - 1) / body.STEPS_PER_METRE

# How far a value may be from what was said before it is said again; for rotations see `same`.
POSITION_TOLERANCE = 0.002  # metres per axis
WEIGHT_TOLERANCE = 0.01
GAZE_TOLERANCE = 0.5  # degrees per axis


@dataclass(slots=True)
class Parts:
    """Position, rotation, 55 bones, 18 weights, gaze; None where nothing is said."""

    position: Vector | None
    rotation: Quaternion | None
    bones: list[Quaternion | None]
    weights: list[float | None]
    gaze: Gaze | None

    @classmethod
    def silent(cls) -> Parts:
        return cls(None, None, [None] * len(BONES), [None] * len(EXPRESSIONS), None)

    @classmethod
    def of(cls, pose: Pose) -> Parts:
        """Raises PoseError for unknown names and for what is no number or no rotation."""
        position: Vector | None = None
        rotation: Quaternion | None = None
        gaze = pose.gaze
        if pose.root is not None:
            rotation = normalized(pose.root.rotation)
            x, y, z = pose.root.position
            position = (
                _clamped(x, -_HORIZONTAL_MOST, _HORIZONTAL_MOST),
                _clamped(y, -_VERTICAL_MOST, _VERTICAL_MOST),
                _clamped(z, -_HORIZONTAL_MOST, _HORIZONTAL_MOST),
            )
        if gaze is not None:
            most = _GAZE_MOST * GAZE_STEP
            gaze = (_clamped(gaze[0], -most, most), _clamped(gaze[1], -most, most))
        bones = _by_number(pose.bones, _BONE_NUMBERS, "bone")
        weights = _by_number(pose.expressions, _EXPRESSION_NUMBERS, "expression")
        return cls(
            position,
            rotation,
            [None if q is None else normalized(q) for q in bones],
            [None if w is None else _clamped(w, 0.0, 1.0) for w in weights],
            gaze,
        )

    def copy(self) -> Parts:
        return Parts(self.position, self.rotation, [*self.bones], [*self.weights], self.gaze)

    def pose(self) -> Pose:
        position, rotation = self.position, self.rotation
        return Pose(
            None if position is None or rotation is None else Root(position, rotation),
            {name: q for name, q in zip(BONES, self.bones, strict=True) if q is not None},
            {name: w for name, w in zip(EXPRESSIONS, self.weights, strict=True) if w is not None},
            self.gaze,
        )


def pack_position(position: Vector) -> int:
    """48 bits: x, z, y."""
    x, y, z = (floor(metres * body.STEPS_PER_METRE + 0.5) for metres in position)
    horizontal, vertical = body.HORIZONTAL_HALF, body.VERTICAL_HALF
    return x + horizontal | (z + horizontal) << 17 | (y + vertical) << 34


def unpack_position(packed: int) -> Vector:
    return (
        ((packed & 0x1FFFF) - body.HORIZONTAL_HALF) / body.STEPS_PER_METRE,
        ((packed >> 34) - body.VERTICAL_HALF) / body.STEPS_PER_METRE,
        ((packed >> 17 & 0x1FFFF) - body.HORIZONTAL_HALF) / body.STEPS_PER_METRE,
    )


def pack_gaze(gaze: Gaze) -> tuple[int, int]:
    """Yaw and pitch in steps: two signed bytes."""
    return floor(gaze[0] / GAZE_STEP + 0.5), floor(gaze[1] / GAZE_STEP + 0.5)


def pack_weight(weight: float) -> int:
    return floor(weight * WEIGHT_STEPS + 0.5)


_BONE_NUMBERS = {name: i for i, name in enumerate(BONES)}
_EXPRESSION_NUMBERS = {name: i for i, name in enumerate(EXPRESSIONS)}


def _by_number(named: Mapping[str, T], numbers: dict[str, int], what: str) -> list[T | None]:
    listed: list[T | None] = [None] * len(numbers)
    for name, value in named.items():
        number = numbers.get(name)
        if number is None:
            raise PoseError(f"VRM 1.0 has no {what} {name[:40]!r}.")
        listed[number] = value
    return listed


def _clamped(value: float, least: float, most: float) -> float:
    if not isfinite(value):
        raise PoseError("A pose is made of finite numbers.")
    return min(max(value, least), most)
