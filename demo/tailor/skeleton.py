"""The bones of every avatar: a T-pose facing +Z, left is +X, metres; names are VRM 1.0's."""

from __future__ import annotations

from demo.tailor.shapes import Point

_MIDDLE: dict[str, tuple[str | None, Point]] = {
    "hips": (None, (0.0, 0.72, 0.0)),
    "spine": ("hips", (0.0, 0.79, 0.0)),
    "chest": ("spine", (0.0, 0.88, 0.0)),
    "upperChest": ("chest", (0.0, 0.97, 0.0)),
    "neck": ("upperChest", (0.0, 1.08, 0.0)),
    "head": ("neck", (0.0, 1.13, 0.0)),
}
_LEFT: dict[str, tuple[str, Point]] = {
    "Eye": ("head", (0.062, 1.235, 0.08)),
    "Shoulder": ("upperChest", (0.03, 1.04, 0.0)),
    "UpperArm": ("Shoulder", (0.1, 1.035, 0.0)),
    "LowerArm": ("UpperArm", (0.28, 1.035, 0.0)),
    "Hand": ("LowerArm", (0.445, 1.035, 0.0)),
    "UpperLeg": ("hips", (0.06, 0.67, 0.0)),
    "LowerLeg": ("UpperLeg", (0.06, 0.375, 0.005)),
    "Foot": ("LowerLeg", (0.06, 0.075, -0.01)),
    "Toes": ("Foot", (0.06, 0.025, 0.06)),
}


def _skeleton() -> dict[str, tuple[str | None, Point]]:
    bones = dict(_MIDDLE)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for name, (parent, (x, y, z)) in _LEFT.items():
            bones[side + name] = (
                parent if parent in _MIDDLE else side + parent,
                (sign * x, y, z),
            )
    return bones


# name -> (parent, position in the world)
SKELETON = _skeleton()

EYE_HEIGHT = 1.235
