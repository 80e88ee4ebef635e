"""The poses of a room: what each avatar last showed, and what changed since the last tick.

Poses are latest-wins. A keyframe is never overtaken by a delta within its tick, since deltas refer
to it: then both go out, the keyframe first.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from vchat.pose_body import KEYFRAME, Detail, PoseError, root_position, thin
from vchat.ticks import ENTRY, OWN_FORMAT, entry

Pose = tuple[int, int, bytes]
"""(seat, seq, body)"""

_pack_entry = ENTRY.pack


@dataclass(slots=True)
class _Shown:
    """The last keyframe of a seat and its last pose, each as a tick's entry."""

    seq: int | None
    keyframe: bytes
    last: bytes


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
        # Called for every pose there is, so `newer` and `entry` of vchat.ticks stand here in full.
        shown = self._shown.get(seat)
        if shown is None:
            shown = self._shown[seat] = _Shown(seq, b"", b"")
        elif shown.seq is not None and not 0 < (seq - shown.seq) & 0xFFFF < 0x8000:
            return False
        new = _pack_entry(seat, seq, len(body)) + body
        shown.seq, shown.last = seq, new
        # What is not ours is self-contained for all we know.
        if body[0] != OWN_FORMAT or (len(body) > 1 and body[1] & KEYFRAME):
            shown.keyframe = self._keyed[seat] = new
            if seat in self._turned:
                del self._turned[seat]
        elif seat in self._keyed:
            self._keyed[seat] = shown.keyframe + new
        else:
            self._turned[seat] = new
        return True

    def restart(self, seat: int) -> None:
        """A new connection counts its poses from anywhere: the next pose of the seat is new."""
        if seat in self._shown:
            self._shown[seat].seq = None

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
        if (shown := self._shown.get(seat)) is None or shown.seq is None:
            return b""
        try:
            return entry(seat, shown.seq, thin(shown.last[ENTRY.size :], detail))
        except PoseError:
            return b""

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
