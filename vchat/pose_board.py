"""The poses of a room: what each avatar last showed, and what changed since the last tick.

Poses are latest-wins. A keyframe is never overtaken by a delta within its tick, since deltas refer
to it: then both go out, the keyframe first.
"""

from dataclasses import dataclass

from vchat.pose_body import KEYFRAME
from vchat.ticks import OWN_FORMAT, entry, newer

Pose = tuple[int, int, bytes]
"""(seat, seq, body)"""


@dataclass(slots=True)
class _Shown:
    """The last keyframe of a seat and its last pose, each as a tick's entry."""

    seq: int | None
    keyframe: bytes
    last: bytes


class PoseBoard:
    """Everyone's poses in one room. Holds two poses a seat at most."""

    def __init__(self) -> None:
        self._shown: dict[int, _Shown] = {}
        self._changed: dict[int, bytes] = {}

    def put(self, seat: int, seq: int, body: bytes) -> bool:
        """Show a pose; False, and nothing changes, when a newer one of the seat is shown."""
        shown = self._shown.get(seat)
        if shown is not None and shown.seq is not None and not newer(seq, shown.seq):
            return False
        new = entry(seat, seq, body)
        # What is not ours is self-contained for all we know.
        if body[0] != OWN_FORMAT or (len(body) > 1 and body[1] & KEYFRAME):
            self._shown[seat] = _Shown(seq, new, new)
            self._changed[seat] = new
        elif shown is None:
            self._shown[seat] = _Shown(seq, b"", new)
            self._changed[seat] = new
        else:
            waiting = self._changed.get(seat)
            shown.seq, shown.last = seq, new
            if waiting is not None and shown.keyframe and waiting.startswith(shown.keyframe):
                self._changed[seat] = shown.keyframe + new
            else:
                self._changed[seat] = new
        return True

    def restart(self, seat: int) -> None:
        """A new connection counts its poses from anywhere: the next pose of the seat is new."""
        if seat in self._shown:
            self._shown[seat].seq = None

    def forget(self, seat: int) -> None:
        """The person left."""
        self._shown.pop(seat, None)
        self._changed.pop(seat, None)

    def drain(self) -> bytes:
        """The entries of all that changed since the last call; empty when nothing did."""
        entries = b"".join(self._changed.values())
        self._changed.clear()
        return entries

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
