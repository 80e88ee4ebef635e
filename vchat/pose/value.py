"""What a pose is: where an avatar stands, how its bones are turned, what its face does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


def _left_and_right(*bones: str) -> tuple[str, ...]:
    return tuple(side + bone for bone in bones for side in ("left", "right"))


# VRM 1.0 humanoid bones in wire order. The three sections are what a viewer near, at middle
# distance and far away is shown. Left and right take turns: limbs move alike, and a bone's code
# learns from the one before.
UPPER_BONES = (
    *("hips", "spine", "chest", "upperChest", "neck", "head"),
    *_left_and_right("Shoulder", "UpperArm", "LowerArm", "Hand"),
)
LOWER_BONES = _left_and_right("UpperLeg", "LowerLeg", "Foot", "Toes")
FINE_BONES = (
    *("leftEye", "rightEye", "jaw"),
    *_left_and_right("ThumbMetacarpal", "ThumbProximal", "ThumbDistal"),
    *_left_and_right("IndexProximal", "IndexIntermediate", "IndexDistal"),
    *_left_and_right("MiddleProximal", "MiddleIntermediate", "MiddleDistal"),
    *_left_and_right("RingProximal", "RingIntermediate", "RingDistal"),
    *_left_and_right("LittleProximal", "LittleIntermediate", "LittleDistal"),
)
BONES = (*UPPER_BONES, *LOWER_BONES, *FINE_BONES)

# VRM 1.0 expression presets in wire order: what talking and blinking need comes first.
EXPRESSIONS = (
    "blink",
    "aa",
    "ih",
    "ou",
    "ee",
    "oh",
    "happy",
    "angry",
    "sad",
    "relaxed",
    "surprised",
    "blinkLeft",
    "blinkRight",
    "lookUp",
    "lookDown",
    "lookLeft",
    "lookRight",
    "neutral",
)


@dataclass(frozen=True, slots=True)
class Root:
    """Where an avatar stands and which way it is turned.

    position  metres, right-handed, +Y up: x and z within ±131.07, y within ±16.382 (clamped)
    rotation  quaternion (x, y, z, w); the identity faces +Z
    """

    position: Vector
    rotation: Quaternion = (0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Pose:
    """An avatar at one moment; what is absent is not said: leave it as it is.

    root         the whole avatar
    bones        name of BONES → local quaternion of the VRM 1.0 normalized humanoid; identity is
                 the T-pose facing +Z
    expressions  name of EXPRESSIONS → weight 0..1 (clamped)
    gaze         (yaw, pitch) in degrees, right-handed about the head's +Y, then +X: positive yaw
                 looks to the avatar's left, positive pitch down; within ±95.25 (clamped)
    """

    root: Root | None = None
    bones: Mapping[str, Quaternion] = field(default_factory=dict)
    expressions: Mapping[str, float] = field(default_factory=dict)
    gaze: tuple[float, float] | None = None
