"""A stream of small whole numbers in few bits: exponential Golomb codes that learn as they go.

Bits fill each byte from its most significant end. Codes have no stored parameter: each of the three
axes keeps a running size of what was coded for it before in the same section, which tells how many
low bits the next number is likely to need. Bones of a body move alike, so this costs nothing and
fits well.
"""

from __future__ import annotations

from vchat.pose_body import PoseError

MAX_CODED = 1023  # of the unsigned number: rotations need 861
_FIRST_SIZE = 8


class SizeModel:
    """How large the numbers of each axis have been: the parameter of the next code."""

    __slots__ = ("_sizes",)

    def __init__(self) -> None:
        self._sizes = [_FIRST_SIZE] * 3

    def low_bits(self, axis: int) -> int:
        return max(0, self._sizes[axis].bit_length() - 2)

    def learn(self, axis: int, coded: int) -> None:
        self._sizes[axis] = (self._sizes[axis] + coded) >> 1


class BitWriter:
    """Collects bits; `to_bytes` fills the last byte with zeros."""

    __slots__ = ("_length", "_model", "_value")

    def __init__(self) -> None:
        self._value = 0
        self._length = 0
        self._model = SizeModel()

    def bits(self, value: int, count: int) -> None:
        self._value = self._value << count | value
        self._length += count

    def number(self, n: int, axis: int) -> None:
        """A signed number: small ones are short."""
        coded = 2 * n - 1 if n > 0 else -2 * n
        low = self._model.low_bits(axis)
        shifted = coded + (1 << low)
        self.bits(shifted, 2 * shifted.bit_length() - 1 - low)
        self._model.learn(axis, coded)

    def to_bytes(self) -> bytes:
        padding = -self._length % 8
        return (self._value << padding).to_bytes((self._length + padding) // 8, "big")


class BitReader:
    """Reads what a BitWriter wrote, from `start`. Running out of bytes is a PoseError."""

    __slots__ = ("_at", "_data", "_end", "_model")

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data = data
        self._at = start * 8
        self._end = end * 8
        self._model = SizeModel()

    def bit(self) -> int:
        at = self._at
        if at >= self._end:
            raise PoseError("The pose body ends within a bone.")
        self._at = at + 1
        return self._data[at >> 3] >> (7 - (at & 7)) & 1

    def number(self, axis: int) -> int:
        low = self._model.low_bits(axis)
        more = low
        while not self.bit():
            more += 1
            if more > 10:
                raise PoseError("A rotation is coded larger than a rotation can be.")
        shifted = 1
        for _ in range(more):
            shifted = shifted << 1 | self.bit()
        coded = shifted - (1 << low)
        if coded > MAX_CODED:
            raise PoseError("A rotation is coded larger than a rotation can be.")
        self._model.learn(axis, coded)
        return (coded + 1) >> 1 if coded & 1 else -(coded >> 1)

    def byte_end(self) -> int:
        """The byte after the section; its unused bits must be zero."""
        while self._at & 7:
            if self.bit():
                raise PoseError("The unused bits at the end of a section must be zero.")
        return self._at >> 3
