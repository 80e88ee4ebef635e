"""Understands pose bodies, whatever was lost between them."""

from __future__ import annotations

from vchat import pose_body as body
from vchat.pose import parts
from vchat.pose.bits import BitReader
from vchat.pose.parts import NARROW_EXPRESSIONS, SECTIONS, Parts
from vchat.pose.rotation import Turn, turned, unpack
from vchat.pose.value import EXPRESSIONS, Pose, Quaternion
from vchat.pose_body import PoseError

_WIDE_MASK = (1 << len(EXPRESSIONS) - NARROW_EXPRESSIONS) - 1


class PoseDecoder:
    """Decodes one avatar's bodies; remembers one keyframe and nothing else.

    A pose depends on its body and the keyframe that body names, never on another delta, so bodies
    may be lost at will.
    """

    def __init__(self) -> None:
        self._keyframe: Parts | None = None
        self._keyframe_seq = 0
        self.needs_keyframe = False

    def decode(self, data: bytes, seq: int) -> Pose:
        """The pose of the body that came as number `seq` (u16).

        What the pose does not hold is not known from this body: keep showing what you have. That is
        so for whatever refers to a keyframe that is not here, or to a section that was thinned out
        of it; `needs_keyframe` then is True until a body is understood whole. Raises PoseError, and
        only that, for bytes that are no body of format 1; the decoder stays as it was.
        """
        reader = _Reader(data)
        flags = reader.header()
        if flags & body.KEYFRAME:
            if flags & body.ROOT not in (0, body.ROOT):
                raise PoseError("A keyframe has the root's position and rotation, or neither.")
            said = Parts.silent()
            reader.root(flags, said)
            reader.face(flags, said)
            reader.bones(flags, said)
            reader.end()
            self._keyframe, self._keyframe_seq = said, seq & 0xFFFF
            self.needs_keyframe = False
            return said.pose()
        age = (seq - reader.byte()) & 0xFF
        if age == 0:
            raise PoseError("A delta cannot refer to itself.")
        base = self._keyframe
        if base is not None and self._keyframe_seq != (seq - age) & 0xFFFF:
            base = None
        said = Parts.silent() if base is None else base.copy()
        reader.root(flags, said)
        reader.face(flags, said)
        understood = reader.turns(flags, said)
        reader.end()
        self.needs_keyframe = base is None or not understood
        return said.pose()


class _Reader:
    """Walks through a body; whatever does not fit is a PoseError."""

    def __init__(self, data: bytes) -> None:
        if len(data) > body.MAX_BODY:
            raise PoseError(f"A pose body has at most {body.MAX_BODY} bytes.")
        self._data = data
        self._at = 0

    def _take(self, count: int) -> int:
        """The next bytes as a little-endian number."""
        at = self._at
        self._at = at + count
        if self._at > len(self._data):
            raise PoseError("The pose body ends too early.")
        return int.from_bytes(self._data[at : self._at], "little")

    def byte(self) -> int:
        return self._take(1)

    def header(self) -> int:
        if self.byte() != body.FORMAT:
            raise PoseError("A pose body begins with format 1.")
        return self.byte()

    def end(self) -> None:
        if self._at != len(self._data):
            raise PoseError("The pose body goes on after its last section.")

    def _taken_out(self, flags: int) -> bool:
        """Whether the flagged section that comes next was thinned away: then nothing follows."""
        thinned = flags & body.THINNED and not flags & body.KEYFRAME
        return bool(thinned) and self._at == len(self._data)

    def root(self, flags: int, said: Parts) -> None:
        if flags & body.POSITION:
            said.position = parts.unpack_position(self._take(body.POSITION_BYTES))
        if flags & body.ROTATION:
            said.rotation = self._rotation()

    def _rotation(self) -> Quaternion:
        return unpack(self._take(body.ROTATION_BYTES))

    def face(self, flags: int, said: Parts) -> None:
        if not flags & body.FACE:
            return
        if self._taken_out(flags):
            said.gaze = None
            said.weights = [None] * len(said.weights)
            return
        narrow = self.byte()
        wide = self._take(2) if narrow & body.FACE_MORE else 0
        if wide & ~_WIDE_MASK:
            raise PoseError("The face names expressions that do not exist.")
        if narrow & body.FACE_GAZE:
            yaw, pitch = self.byte(), self.byte()
            said.gaze = (_signed(yaw) * parts.GAZE_STEP, _signed(pitch) * parts.GAZE_STEP)
        listed = narrow >> 1 & 0x3F | wide << NARROW_EXPRESSIONS
        for i in range(len(EXPRESSIONS)):
            if listed >> i & 1:
                said.weights[i] = self.byte() / parts.WEIGHT_STEPS

    def bones(self, flags: int, said: Parts) -> None:
        """A keyframe's bone sections: absolute rotations."""
        for flag, first, last, mask_bytes in SECTIONS:
            if not flags & flag:
                continue
            mask = (1 << last - first) - 1
            if flags & body.PARTIAL:
                listed = self._take(mask_bytes)
                if listed & ~mask:
                    raise PoseError("A mask names bones that do not exist.")
                mask = listed
            for i in range(first, last):
                if mask >> i - first & 1:
                    said.bones[i] = self._rotation()

    def turns(self, flags: int, said: Parts) -> bool:
        """A delta's bone sections: turns of the bones in `said`. False if one was not there."""
        understood = True
        for flag, first, last, _ in SECTIONS:
            if not flags & flag:
                continue
            if self._taken_out(flags):
                said.bones[first:last] = [None] * (last - first)
                continue
            end = len(self._data)
            if flag == body.UPPER:
                length = self.byte()
                end = min(self._at + length, end)
                length_end = self._at + length
            bits = BitReader(self._data, self._at, end)
            for i in range(first, last):
                if not bits.bit():
                    continue
                turn: Turn = (bits.bit(), bits.number(0), bits.number(1), bits.number(2))
                base = said.bones[i]
                if base is None:
                    understood = False
                else:
                    said.bones[i] = turned(base, turn)
            self._at = bits.byte_end()
            if flag == body.UPPER and self._at != length_end:
                raise PoseError("The upper body is not as long as it says.")
        return understood


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte
