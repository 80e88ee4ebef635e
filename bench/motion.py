"""Synthetic motion for bots and benchmarks: someone idling, walking, dancing.

Every bone follows a small sum of sines in joint angles (degrees about its own x, y and z), which
is what a gait or a beat is to a first approximation, plus what a camera tracker adds: Gaussian
jitter, new in every frame. The same kind, seed and rate give the same poses.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from vchat.pose import Pose, Quaternion, Root

Kind = Literal["idle", "walk", "dance"]
Angles = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Swing:
    """One sine of a joint: amplitudes in degrees about x, y, z; frequency in Hz; phase in turns."""

    amplitude: Angles
    frequency: float
    phase: float = 0.0

    def at(self, t: float) -> Angles:
        s = math.sin(2 * math.pi * (self.frequency * t + self.phase))
        x, y, z = self.amplitude
        return (x * s, y * s, z * s)


@dataclass(frozen=True, slots=True)
class Joint:
    """A bone's resting angles in degrees and the swings around them."""

    rest: Angles = (0.0, 0.0, 0.0)
    swings: tuple[Swing, ...] = ()

    def at(self, t: float) -> Angles:
        x, y, z = self.rest
        for swing in self.swings:
            dx, dy, dz = swing.at(t)
            x, y, z = x + dx, y + dy, z + dz
        return (x, y, z)


@dataclass(frozen=True, slots=True)
class Style:
    """How a body moves: its joints, how its root travels, and how the tracker shakes."""

    joints: dict[str, Joint]
    speed: float = 0.0  # metres per second along a circle
    turn_radius: float = math.inf  # metres; infinite walks straight ahead
    bounce: Swing = field(default=Swing((0.0, 0.0, 0.0), 0.0))  # metres, added to the root position
    jitter: float = 0.0  # degrees, standard deviation per axis and frame
    talks: bool = False


# Arms hang beside the body: the normalized frame's identity is the T-pose.
_ARM_REST: dict[str, Angles] = {
    "leftUpperArm": (4.0, -6.0, -72.0),
    "rightUpperArm": (4.0, 6.0, 72.0),
    "leftLowerArm": (0.0, -14.0, -4.0),
    "rightLowerArm": (0.0, 14.0, 4.0),
}


def _joints(swings: dict[str, tuple[Swing, ...]]) -> dict[str, Joint]:
    return {bone: Joint(_ARM_REST.get(bone, (0.0, 0.0, 0.0)), s) for bone, s in swings.items()}


def _both(
    bone: str, amplitude: Angles, f: float, phase: float, opposite: float
) -> dict[str, Swing]:
    """A swing for the left and, mirrored across the body's middle, the right bone."""
    x, y, z = amplitude
    return {
        f"left{bone}": Swing((x, y, z), f, phase),
        f"right{bone}": Swing((x, -y, -z), f, phase + opposite),
    }


def _merge(*parts: dict[str, Swing]) -> dict[str, tuple[Swing, ...]]:
    merged: dict[str, tuple[Swing, ...]] = {}
    for part in parts:
        for bone, swing in part.items():
            merged[bone] = (*merged.get(bone, ()), swing)
    return merged


def _idle() -> Style:
    breath, sway, drift = 0.27, 0.13, 0.07
    return Style(
        _joints(
            _merge(
                {
                    # Quiet breathing tips the ribs by about a degree; neck and head stay level.
                    "spine": Swing((0.4, 0.0, 0.0), breath),
                    "chest": Swing((-0.9, 0.0, 0.0), breath),
                    "upperChest": Swing((-0.7, 0.0, 0.0), breath),
                    "neck": Swing((0.6, 0.0, 0.0), breath),
                    "head": Swing((0.4, 0.0, 0.0), breath),
                },
                _both("Shoulder", (0.0, 0.0, 0.6), breath, 0.0, 0.0),
                _both("UpperArm", (0.0, 0.0, 0.4), breath, 0.1, 0.0),
                _both("LowerArm", (0.0, 0.3, 0.0), breath, 0.15, 0.0),
                _both("Hand", (0.2, 0.0, 0.3), breath, 0.2, 0.0),
                {
                    # Quiet standing sways by about half a degree; the gaze leads the head slowly.
                    "hips": Swing((0.0, 0.2, 0.5), sway),
                    "spine": Swing((0.0, -0.2, -0.4), sway, 0.02),
                    "head": Swing((0.3, 2.5, 0.4), drift, 0.3),
                    "neck": Swing((0.0, 1.2, 0.0), drift, 0.28),
                },
                _both("UpperLeg", (0.2, 0.0, -0.5), sway, 0.0, 0.5),
                _both("LowerLeg", (0.3, 0.0, 0.0), sway, 0.1, 0.5),
                _both("Foot", (-0.2, 0.0, 0.4), sway, 0.0, 0.5),
                _both("Toes", (0.0, 0.0, 0.0), sway, 0.0, 0.5),
            )
        )
    )


def _walk() -> Style:
    stride = 0.95  # Hz: two steps per stride
    step = 2 * stride
    return Style(
        _joints(
            _merge(
                {
                    "hips": Swing((0.0, 6.0, 0.0), stride),
                    "spine": Swing((0.0, -4.0, 0.0), stride),
                    "chest": Swing((0.0, -4.0, 0.0), stride),
                    "upperChest": Swing((0.0, -3.0, 0.0), stride),
                    "neck": Swing((1.0, 2.0, 0.0), stride),
                    "head": Swing((1.0, 2.0, 0.0), stride),
                },
                {
                    "hips": Swing((1.0, 0.0, 3.0), stride, 0.25),
                    "spine": Swing((1.5, 0.0, -2.0), step),
                    "head": Swing((1.5, 0.0, 0.0), step, 0.2),
                    "neck": Swing((1.0, 0.0, 0.0), step, 0.1),
                },
                _both("UpperLeg", (26.0, 2.0, 1.5), stride, 0.0, 0.5),
                _both("UpperLeg", (5.0, 0.0, 0.0), step, 0.2, 0.0),
                _both("LowerLeg", (-24.0, 0.0, 0.0), stride, 0.25, 0.5),
                _both("LowerLeg", (-12.0, 0.0, 0.0), step, 0.1, 0.0),
                _both("Foot", (12.0, 0.0, 1.0), stride, 0.4, 0.5),
                _both("Foot", (6.0, 0.0, 0.0), step, 0.3, 0.0),
                _both("Toes", (-12.0, 0.0, 0.0), stride, 0.6, 0.5),
                _both("Shoulder", (0.0, 3.0, 1.5), stride, 0.5, 0.5),
                _both("UpperArm", (18.0, 5.0, 3.0), stride, 0.5, 0.5),
                _both("LowerArm", (0.0, -10.0, 0.0), stride, 0.55, 0.5),
                _both("Hand", (3.0, 0.0, 4.0), stride, 0.65, 0.5),
            )
        ),
        speed=1.35,
        turn_radius=8.0,
        bounce=Swing((0.0, 0.022, 0.0), step, 0.25),
    )


def _dance() -> Style:
    beat = 2.0  # Hz: 120 beats per minute
    bar = beat / 2
    phrase = beat / 8
    return Style(
        _joints(
            _merge(
                {
                    "hips": Swing((3.0, 9.0, 8.0), bar),
                    "spine": Swing((5.0, 7.0, 6.0), bar, 0.1),
                    "chest": Swing((5.0, 7.0, 5.0), bar, 0.2),
                    "upperChest": Swing((4.0, 5.0, 5.0), bar, 0.3),
                    "neck": Swing((7.0, 6.0, 5.0), beat, 0.1),
                    "head": Swing((9.0, 8.0, 7.0), beat, 0.2),
                },
                {
                    "hips": Swing((2.0, 12.0, 3.0), phrase, 0.4),
                    "spine": Swing((4.0, 3.0, 2.0), beat, 0.4),
                    "head": Swing((5.0, 18.0, 4.0), phrase, 0.1),
                },
                _both("Shoulder", (3.0, 6.0, 9.0), bar, 0.1, 0.5),
                _both("UpperArm", (22.0, 18.0, 38.0), bar, 0.2, 0.5),
                _both("UpperArm", (12.0, 15.0, 24.0), phrase, 0.6, 0.3),
                _both("LowerArm", (5.0, -38.0, 8.0), bar, 0.3, 0.4),
                _both("LowerArm", (4.0, -16.0, 6.0), beat, 0.7, 0.2),
                _both("Hand", (12.0, 9.0, 18.0), beat, 0.4, 0.5),
                _both("UpperLeg", (20.0, 7.0, 9.0), bar, 0.0, 0.5),
                _both("UpperLeg", (8.0, 4.0, 5.0), phrase, 0.2, 0.5),
                _both("LowerLeg", (-26.0, 2.0, 0.0), bar, 0.1, 0.5),
                _both("LowerLeg", (-8.0, 0.0, 0.0), beat, 0.3, 0.0),
                _both("Foot", (12.0, 4.0, 5.0), bar, 0.2, 0.5),
                _both("Toes", (9.0, 0.0, 0.0), bar, 0.3, 0.5),
            )
        ),
        speed=0.35,
        turn_radius=0.8,
        bounce=Swing((0.03, 0.05, 0.02), beat),
        jitter=0.25,
        talks=True,
    )


_STYLES = {"idle": _idle(), "walk": _walk(), "dance": _dance()}


def quaternion(angles: Angles) -> Quaternion:
    """The rotation by a rotation vector in degrees."""
    x, y, z = (math.radians(a) for a in angles)
    angle = math.sqrt(x * x + y * y + z * z)
    if angle == 0.0:
        return (0.0, 0.0, 0.0, 1.0)
    s = math.sin(angle / 2) / angle
    return (x * s, y * s, z * s, math.cos(angle / 2))


def poses(
    kind: Kind, seconds: float, *, hz: float = 20.0, seed: int = 1, jitter: float | None = None
) -> Iterator[Pose]:
    """A person's poses, `hz` per second: root, 22 bones, blink and mouth, gaze.

    `seed` moves the person's place, heading and moment in the motion, and draws jitter and blinks.
    `jitter` (degrees, standard deviation per axis and frame) replaces the kind's own.
    """
    style = _STYLES[kind] if jitter is None else replace(_STYLES[kind], jitter=jitter)
    rng = random.Random(seed)
    start = rng.uniform(0.0, 20.0)
    place = (rng.uniform(-5.0, 5.0), rng.uniform(-5.0, 5.0))
    heading = rng.uniform(-180.0, 180.0)
    face = _Face(rng, start, talks=style.talks)

    def shaken(angles: Angles) -> Angles:
        x, y, z = angles
        j = style.jitter
        return (x + rng.gauss(0.0, j), y + rng.gauss(0.0, j), z + rng.gauss(0.0, j))

    for frame in range(math.ceil(seconds * hz)):
        t = start + frame / hz
        turned, (x, z) = _travelled(style, heading, frame / hz)
        bx, by, bz = style.bounce.at(t)
        expressions, gaze = face.at(t)
        yield Pose(
            root=Root(
                position=(place[0] + x + bx, by, place[1] + z + bz),
                rotation=quaternion((0.0, turned, 0.0)),
            ),
            bones={bone: quaternion(shaken(joint.at(t))) for bone, joint in style.joints.items()},
            expressions=expressions,
            gaze=gaze,
        )


def _travelled(style: Style, heading: float, t: float) -> tuple[float, tuple[float, float]]:
    """Heading in degrees and metres along x and z after walking `t` seconds."""
    h = math.radians(heading)
    if math.isinf(style.turn_radius):
        return heading, (style.speed * t * math.sin(h), style.speed * t * math.cos(h))
    turned = style.speed * t / style.turn_radius
    r = style.turn_radius
    x = r * (math.cos(h) - math.cos(h + turned))
    z = r * (math.sin(h + turned) - math.sin(h))
    degrees = (heading + math.degrees(turned) + 180.0) % 360.0 - 180.0
    return degrees, (x, z)


class _Face:
    """Blinks every few seconds, glances that hold still between jumps, a mouth that may sing."""

    def __init__(self, rng: random.Random, start: float, *, talks: bool) -> None:
        self._rng = rng
        self._talks = talks
        self._blink = start + rng.uniform(0.5, 4.0)
        self._glance_until = start
        self._gaze = (0.0, 0.0)

    def at(self, t: float) -> tuple[dict[str, float], tuple[float, float]]:
        if t > self._blink + 0.3:
            self._blink = t + self._rng.uniform(2.0, 5.0)
        if t >= self._glance_until:
            self._glance_until = t + self._rng.uniform(0.8, 3.0)
            self._gaze = (self._rng.gauss(0.0, 6.0), self._rng.gauss(0.0, 3.0))
        lid = max(0.0, 1.0 - abs(t - self._blink - 0.12) / 0.12)
        mouth = max(0.0, math.sin(2 * math.pi * 2.3 * t)) * 0.8 if self._talks else 0.0
        return {"blink": lid, "aa": mouth, "oh": mouth * 0.4, "happy": 0.3}, self._gaze
