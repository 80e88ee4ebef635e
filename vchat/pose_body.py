"""What a relay needs to know of a pose body, and no more: docs/pose.md, "Sections".

Kept apart from the codec (`vchat.pose`) because a relay loads it at every start and calls it for
every pose: it imports nothing of ours and never unpacks a bone.
"""

from typing import Literal

FORMAT = 1
MAX_BODY = 512  # bytes

# The flags byte.
KEYFRAME = 0x01
POSITION = 0x02
ROTATION = 0x04
ROOT = POSITION | ROTATION
FACE = 0x08
UPPER = 0x10
LOWER = 0x20
FINE = 0x40
PARTIAL = 0x80  # keyframe: the bone sections begin with masks
THINNED = 0x80  # delta: flagged sections the body ends before were taken out

UPPER_COUNT = 14
POSITION_BYTES = 6
ROTATION_BYTES = 4
MASK_BYTES = {UPPER: 2, LOWER: 1, FINE: 5}

# Position: x and z 17 bits, y 14 bits, in steps of 2 mm around zero.
STEPS_PER_METRE = 500.0
HORIZONTAL_HALF = 1 << 16
VERTICAL_HALF = 1 << 13

# Face: 7 mask bits (gaze, then six expressions) and, if the top bit is set, two more mask bytes.
FACE_GAZE = 0x01
FACE_MORE = 0x80
GAZE_BYTES = 2

Detail = Literal["near", "middle", "far"]

_DROPPED = {"near": 0, "middle": LOWER | FINE, "far": FACE | UPPER | LOWER | FINE}


class PoseError(ValueError):
    """These bytes are no pose body of format 1, or this pose cannot be said in one."""


def is_keyframe(body: bytes) -> bool:
    """Whether later bodies may refer to this one. Raises PoseError if it is no body of format 1."""
    return bool(_flags(body) & KEYFRAME)


def root_position(body: bytes) -> tuple[float, float] | None:
    """Where the avatar stands, (x, z) in metres; None if the body does not say.

    A delta that does not say stands where its keyframe stood. Raises PoseError.
    """
    flags = _flags(body)
    if not flags & POSITION:
        return None
    at = 2 if flags & KEYFRAME else 3
    packed = int.from_bytes(body[at : at + POSITION_BYTES], "little")
    return (
        ((packed & 0x1FFFF) - HORIZONTAL_HALF) / STEPS_PER_METRE,
        ((packed >> 17 & 0x1FFFF) - HORIZONTAL_HALF) / STEPS_PER_METRE,
    )


def thin(body: bytes, detail: Detail) -> bytes:
    """The same pose for a viewer further away: a shorter slice of the body, flags patched.

    near: everything; middle: root, face and upper body; far: root. Raises PoseError if the body
    ends before the cut; what is inside the sections is not looked at.
    """
    flags = _flags(body)
    dropped = flags & _DROPPED[detail]
    if not dropped:
        return body
    if flags & KEYFRAME:
        kept = flags & ~dropped
        if not kept & (UPPER | LOWER | FINE):
            kept &= ~PARTIAL
    else:
        # The flags stay: a section that is not flagged is as in the keyframe, one that was taken
        # out is unknown, and only the sender's flags tell which.
        kept = flags | THINNED
    end = _root_end(body, flags)
    if detail == "middle":
        end = _upper_end(body, flags, end)
    return bytes((FORMAT, kept)) + body[2:end]


def _flags(body: bytes) -> int:
    """The flags of a body that is long enough to hold its header and root."""
    if len(body) < 2 or body[0] != FORMAT:
        raise PoseError("A pose body begins with format 1 and a flags byte.")
    if len(body) > MAX_BODY:
        raise PoseError(f"A pose body has at most {MAX_BODY} bytes, this one has {len(body)}.")
    flags = body[1]
    if _root_end(body, flags) > len(body):
        raise PoseError("The pose body ends within its header or root.")
    return flags


def _root_end(body: bytes, flags: int) -> int:
    end = 2 if flags & KEYFRAME else 3
    if flags & POSITION:
        end += POSITION_BYTES
    if flags & ROTATION:
        end += ROTATION_BYTES
    return end


def _upper_end(body: bytes, flags: int, at: int) -> int:
    """Where the upper body ends and what is thinned away at middle distance begins."""
    thinned = flags & THINNED and not flags & KEYFRAME
    if thinned and at == len(body):
        return at  # thinned further before
    try:
        if flags & FACE:
            mask, at = body[at], at + 1
            listed = (mask & 0x7E).bit_count() + GAZE_BYTES * (mask & FACE_GAZE)
            if mask & FACE_MORE:
                listed += (body[at] | body[at + 1] << 8).bit_count()
                at += 2
            at += listed
        if flags & UPPER and not (thinned and at == len(body)):
            if not flags & KEYFRAME:
                at += 1 + body[at]
            elif flags & PARTIAL:
                at += 2 + ROTATION_BYTES * (body[at] | body[at + 1] << 8).bit_count()
            else:
                at += ROTATION_BYTES * UPPER_COUNT
    except IndexError:
        at = len(body) + 1
    if at > len(body):
        raise PoseError("The pose body ends within its face or upper body.")
    return at
