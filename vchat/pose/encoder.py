"""Says a moving pose in few bytes: a keyframe now and then, and what differs from it between."""

from __future__ import annotations

from vchat import pose_body as body
from vchat.pose import parts
from vchat.pose.bits import BitWriter
from vchat.pose.parts import NARROW_EXPRESSIONS, SECTIONS, Parts
from vchat.pose.rotation import pack, same, turn_between, turned, unpack
from vchat.pose.value import Pose, Quaternion, Vector
from vchat.pose_body import PoseError

# A delta names its keyframe by one byte: it must be younger than one turn of that byte.
_OLDEST_KEYFRAME = 255


class PoseEncoder:
    """Encodes one avatar's poses, in the order of their `seq`.

    What a receiver shows is, at any time, within 0.298 degrees of each rotation given, 2 mm of the
    position per axis, 0.01 of each weight and 0.5 degrees of the gaze. A keyframe is made at first,
    whenever `keyframe_every` numbers have passed since the last, when the pose gains or loses a
    part, and when a delta would be no shorter.
    """

    def __init__(self, *, keyframe_every: int = 40) -> None:
        if not 1 <= keyframe_every <= _OLDEST_KEYFRAME:
            raise ValueError(f"keyframe_every is 1 to {_OLDEST_KEYFRAME}.")
        self._keyframe_every = keyframe_every
        self._keyframe: Parts | None = None  # as receivers see it
        self._keyframe_seq = 0
        self._keyframe_bytes = 0
        self._said = Parts.silent()  # as receivers see it

    def encode(self, pose: Pose, seq: int, *, keyframe: bool = False) -> bytes | None:
        """The body to send as number `seq` (u16), or None if receivers see this pose already.

        After None, use the same `seq` for the next pose. Raises PoseError for a pose that holds
        unknown names, numbers that are not finite, or zero quaternions; nothing is changed then.
        """
        if not 0 <= seq <= 0xFFFF:
            raise PoseError("seq is 0 to 65535.")
        now = Parts.of(pose)
        base = self._keyframe
        if keyframe or base is None or not _same_parts(now, base):
            return self._encode_keyframe(now, seq)
        if _unchanged(now, self._said):
            return None
        age = (seq - self._keyframe_seq) & 0xFFFF
        if age == 0 or age >= self._keyframe_every:
            return self._encode_keyframe(now, seq)
        delta, said = _delta(now, base, self._keyframe_seq & 0xFF)
        if len(delta) >= self._keyframe_bytes:
            return self._encode_keyframe(now, seq)
        self._said = said
        return delta

    def _encode_keyframe(self, now: Parts, seq: int) -> bytes:
        encoded, said = _keyframe(now)
        self._keyframe, self._keyframe_seq = said, seq
        self._keyframe_bytes = len(encoded)
        self._said = said
        return encoded


def _keyframe(now: Parts) -> tuple[bytes, Parts]:
    said = Parts.silent()
    flags = body.KEYFRAME
    sections = [
        (flag, first, now.bones[first:last], mask_bytes)
        for flag, first, last, mask_bytes in SECTIONS
        if any(q is not None for q in now.bones[first:last])
    ]
    if any(None in bones for _, _, bones, _ in sections):
        flags |= body.PARTIAL
    tail = bytearray()
    flags |= _root(tail, said, now.position, now.rotation)
    flags |= _face(tail, said, now.weights, now.gaze)
    for flag, first, bones, mask_bytes in sections:
        flags |= flag
        if flags & body.PARTIAL:
            mask = sum(1 << i for i, q in enumerate(bones) if q is not None)
            tail += mask.to_bytes(mask_bytes, "little")
        for i, q in enumerate(bones, first):
            if q is not None:
                packed = pack(q)
                tail += packed.to_bytes(body.ROTATION_BYTES, "little")
                said.bones[i] = unpack(packed)
    return bytes((body.FORMAT, flags)) + tail, said


def _delta(now: Parts, base: Parts, reference: int) -> tuple[bytes, Parts]:
    said = base.copy()
    tail = bytearray()
    flags = _root(
        tail,
        said,
        None if _near(now.position, base.position, parts.POSITION_TOLERANCE) else now.position,
        None if _same(now.rotation, base.rotation) else now.rotation,
    )
    weights = [
        None if _near_weight(w, b) else w for w, b in zip(now.weights, base.weights, strict=True)
    ]
    gaze = None if _near(now.gaze, base.gaze, parts.GAZE_TOLERANCE) else now.gaze
    flags |= _face(tail, said, weights, gaze)
    for flag, first, last, _ in SECTIONS:
        turns = _turns(now, base, said, first, last)
        if turns:
            flags |= flag
            if flag == body.UPPER:
                tail.append(len(turns))
            tail += turns
    return bytes((body.FORMAT, flags, reference)) + tail, said


def _turns(now: Parts, base: Parts, said: Parts, first: int, last: int) -> bytes:
    """A delta's bone section: nothing if no bone of it moved."""
    bits = BitWriter()
    moved = False
    for i in range(first, last):
        q, b = now.bones[i], base.bones[i]
        if q is None or b is None or same(q, b):
            bits.bits(0, 1)
            continue
        moved = True
        turn = turn_between(b, q)
        bits.bits(2 | turn[0], 2)
        for axis in range(3):
            bits.number(turn[axis + 1], axis)
        said.bones[i] = turned(b, turn)
    return bits.to_bytes() if moved else b""


def _root(
    tail: bytearray, said: Parts, position: Vector | None, rotation: Quaternion | None
) -> int:
    flags = 0
    if position is not None:
        flags |= body.POSITION
        packed = parts.pack_position(position)
        tail += packed.to_bytes(body.POSITION_BYTES, "little")
        said.position = parts.unpack_position(packed)
    if rotation is not None:
        flags |= body.ROTATION
        packed = pack(rotation)
        tail += packed.to_bytes(body.ROTATION_BYTES, "little")
        said.rotation = unpack(packed)
    return flags


def _face(
    tail: bytearray, said: Parts, weights: list[float | None], gaze: parts.Gaze | None
) -> int:
    listed = [(i, w) for i, w in enumerate(weights) if w is not None]
    if not listed and gaze is None:
        return 0
    narrow = sum(2 << i for i, _ in listed if i < NARROW_EXPRESSIONS)
    wide = sum(1 << i - NARROW_EXPRESSIONS for i, _ in listed if i >= NARROW_EXPRESSIONS)
    tail.append(narrow | (body.FACE_GAZE if gaze else 0) | (body.FACE_MORE if wide else 0))
    if wide:
        tail += wide.to_bytes(2, "little")
    if gaze is not None:
        yaw, pitch = parts.pack_gaze(gaze)
        tail += bytes((yaw & 0xFF, pitch & 0xFF))
        said.gaze = (yaw * parts.GAZE_STEP, pitch * parts.GAZE_STEP)
    for i, w in listed:
        n = parts.pack_weight(w)
        tail.append(n)
        said.weights[i] = n / parts.WEIGHT_STEPS
    return body.FACE


def _same_parts(a: Parts, b: Parts) -> bool:
    """Whether both say the same things, whatever they say."""
    return (
        (a.position is None) == (b.position is None)
        and (a.gaze is None) == (b.gaze is None)
        and [q is None for q in a.bones] == [q is None for q in b.bones]
        and [w is None for w in a.weights] == [w is None for w in b.weights]
    )


def _unchanged(now: Parts, said: Parts) -> bool:
    return (
        _near(now.position, said.position, parts.POSITION_TOLERANCE)
        and _same(now.rotation, said.rotation)
        and _near(now.gaze, said.gaze, parts.GAZE_TOLERANCE)
        and all(map(_same, now.bones, said.bones))
        and all(map(_near_weight, now.weights, said.weights))
    )


def _same(a: Quaternion | None, b: Quaternion | None) -> bool:
    return a is None or b is None or same(a, b)


def _near(a: tuple[float, ...] | None, b: tuple[float, ...] | None, tolerance: float) -> bool:
    if a is None or b is None:
        return True
    return all(abs(x - y) <= tolerance for x, y in zip(a, b, strict=True))


def _near_weight(a: float | None, b: float | None) -> bool:
    return a is None or b is None or abs(a - b) <= parts.WEIGHT_TOLERANCE
