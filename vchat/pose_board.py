"""The poses of a room: what each avatar last showed, and what changed since the last tick.

Poses are latest-wins. A keyframe is never overtaken by a delta within its tick, since deltas refer
to it: then both go out, the keyframe first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from vchat import limits
from vchat.errors import Refused
from vchat.pose_body import KEYFRAME, Detail, PoseError, root_position, thin
from vchat.ticks import ENTRY, OWN_FORMAT, entry, newer, parse_pose

Pose = tuple[int, int, bytes]
"""(seat, seq, body)"""

_pack_entry = ENTRY.pack
_MOST = limits.POSE_BYTES
_RESERVED = 127


class Poser(Protocol):
    """Someone whose pose frames are read. `credit` of them need not be judged."""

    seat: int
    credit: int
    heard: bool

    def judge(self) -> bool:
        """Whether the next pose is shown; if so, `credit` may be given for some after it."""

    def reject(self, refused: Refused) -> None:
        """What came was no pose."""


@dataclass(slots=True)
class _Shown:
    """The last keyframe of a seat and its last pose, each as a tick's entry. `fresh` while the
    next pose is new whatever its number."""

    seq: int
    keyframe: bytes
    last: bytes
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Changes:
    """The entries of those who changed, by seat: `keyed` begin with a keyframe, or are not ours to
    read; `turned` are single deltas, of which a later one says all that an earlier one said."""

    keyed: dict[int, bytes]
    turned: dict[int, bytes]

    def joined(self) -> bytes:
        return b"".join([*self.keyed.values(), *self.turned.values()])


class PoseBoard:
    """Everyone's poses in one room. Holds two poses a seat at most."""

    def __init__(self) -> None:
        self._shown: dict[int, _Shown] = {}
        self._keyed: dict[int, bytes] = {}
        self._turned: dict[int, bytes] = {}

    def __len__(self) -> int:
        """How many avatars are shown."""
        return len(self._shown)

    def put(self, seat: int, seq: int, body: bytes) -> bool:
        """Show a pose; False, and nothing changes, when a newer one of the seat is shown."""
        if (shown := self._shown.get(seat)) is None:
            shown = self._shown[seat] = _Shown(seq, b"", b"")
        if not shown.fresh and not newer(seq, shown.seq):
            return False
        shown.seq, shown.fresh = seq, False
        shown.last = new = entry(seat, seq, body)
        # What is not ours is self-contained for all we know.
        if body[0] != OWN_FORMAT or (len(body) > 1 and body[1] & KEYFRAME):
            shown.keyframe = self._keyed[seat] = new
            self._turned.pop(seat, None)
        elif seat in self._keyed:
            self._keyed[seat] = shown.keyframe + new
        else:
            self._turned[seat] = new
        return True

    def read(self, came: Iterable[tuple[Poser, bytes]], moves: list[Pose] | None) -> int:
        """Show the poses in frames of members who are here, as `put` does, and add those that were
        new to `moves`; how many bytes came."""
        # Done for every pose there is, so what usually comes, a good frame with the next number,
        # goes straight through, with `parse_pose`, `newer`, `entry` and `put` written out.
        shown_by_seat, keyed, turned = self._shown, self._keyed, self._turned
        read = 0
        for poser, frame in came:
            read += len(frame)
            poser.heard = True
            if poser.credit:
                poser.credit -= 1
            elif not poser.judge():
                continue
            seat, size = poser.seat, len(frame) - 4
            if (
                1 < size <= _MOST
                and frame[0] == 1
                and not frame[1]
                and (shown := shown_by_seat.get(seat)) is not None
                and 0 < ((seq := frame[2] | frame[3] << 8) - shown.seq) & 0xFFFF < 0x8000
                and ((form := frame[4]) == OWN_FORMAT or form > _RESERVED)
            ):
                shown.seq = seq
                shown.last = new = _pack_entry(seat, seq, size) + frame[4:]
                if form != OWN_FORMAT or frame[5] & KEYFRAME:
                    shown.keyframe = keyed[seat] = new
                    if seat in turned:
                        del turned[seat]
                elif seat in keyed:
                    keyed[seat] = shown.keyframe + new
                else:
                    turned[seat] = new
            else:
                try:
                    seq, body = parse_pose(frame)
                except Refused as refused:
                    poser.reject(refused)
                    continue
                if not self.put(seat, seq, body):
                    continue
            if moves is not None:
                moves.append((seat, seq, frame[4:]))
        return read

    def restart(self, seat: int) -> None:
        """A new connection counts its poses from anywhere: the next pose of the seat is new."""
        if seat in self._shown:
            self._shown[seat].fresh = True

    def forget(self, seat: int) -> None:
        """The person left."""
        for poses in (self._shown, self._keyed, self._turned):
            poses.pop(seat, None)

    def drain(self) -> Changes:
        """All that changed since the last call."""
        changes = Changes(self._keyed, self._turned)
        self._keyed, self._turned = {}, {}
        return changes

    def seats(self) -> Iterable[int]:
        """The seats of those who are shown."""
        return self._shown.keys()

    def last(self, seats: Iterable[int]) -> bytes:
        """The last entries of these seats."""
        return b"".join([shown.last for seat in seats if (shown := self._shown.get(seat))])

    def thinned(self, seat: int, detail: Detail) -> bytes:
        """The last entry of a seat with less in it; empty if it cannot be understood."""
        if (shown := self._shown.get(seat)) is None:
            return b""
        try:
            return entry(seat, shown.seq, thin(shown.last[ENTRY.size :], detail))
        except PoseError:
            return b""

    def keyframes(self, seats: Iterable[int]) -> bytes:
        """The last keyframes of these seats, whole."""
        return b"".join([shown.keyframe for seat in seats if (shown := self._shown.get(seat))])

    def delta(self, seat: int, detail: Detail) -> bytes:
        """The last entry of a seat in so much detail; empty if that is its keyframe."""
        shown = self._shown.get(seat)
        if shown is None or shown.last is shown.keyframe:
            return b""
        return shown.last if detail == "near" else self.thinned(seat, detail)

    def places(self) -> dict[int, tuple[float, float]]:
        """Where the avatars stand, (x, z) in metres, of those who said so."""
        places = {}
        for seat, shown in self._shown.items():
            if (place := _place(shown.last) or _place(shown.keyframe)) is not None:
                places[seat] = place
        return places

    def snapshot(self) -> bytes:
        """The entries of all that is shown."""
        return b"".join(
            shown.last if shown.keyframe is shown.last else shown.keyframe + shown.last
            for shown in self._shown.values()
        )

    def poses(self, seats: frozenset[int]) -> list[Pose]:
        """What these seats show, keyframes first, for another instance."""
        return [
            (seat, int.from_bytes(one[2:4], "little"), one[6:])
            for seat in seats
            if (shown := self._shown.get(seat))
            for one in (
                (shown.keyframe, shown.last) if shown.keyframe is not shown.last else (shown.last,)
            )
            if one
        ]


def _place(entry: bytes) -> tuple[float, float] | None:
    try:
        return root_position(entry[ENTRY.size :])
    except PoseError:
        return None
