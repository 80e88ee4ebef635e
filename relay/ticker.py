"""The pose ticks of one room: one merged frame per tick, the same bytes for everyone, or in a full
room for everyone who stands together.

A room where nobody moves has no timer. Each room ticks at its own phase, so that many rooms do not
all write in the same millisecond.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Collection
from itertools import islice
from typing import Protocol

from relay.line import Frame, Line
from relay.tally import Tally
from vchat import limits, ticks
from vchat.crowd import TICKS_BETWEEN, Crowd
from vchat.model import Member
from vchat.pose_board import Changes, Pose, PoseBoard, Poser

_TICK_S = 1 / limits.TICK_HZ
FULL = 64
"""With more avatars than this, people are told more of those who are near."""
_EASED = 48
"""With fewer than this, everyone is told everything again."""

MANY_MOVE = 16
"""Where so many move, their lines are held and polled once a tick. What else such a person says is
then heard up to a tick later; with fewer, polling would save little."""
_MOST = 4096
"""Pose frames that may wait for a tick; more come only of a flood, of which some may be lost."""


class Watcher(Poser, Protocol):
    """Someone who is shown the poses, and whose poses are; `lagging` when a tick had to be
    skipped."""

    line: Line
    lagging: bool
    me: Member


class Ticker:
    """Merges what is put on the board and sends it to all watchers, when there is something."""

    def __init__(
        self,
        watchers: Callable[[], Collection[Watcher]],
        clock: Callable[[], float],
        tally: Tally,
    ) -> None:
        self.board = PoseBoard()
        self._tally = tally
        self._crowd: Crowd | None = None
        self._regroup_in = 0
        self._watchers = watchers
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._phase = random.random() * _TICK_S  # noqa: S311 (spreads load, guards nothing)
        self._timer: asyncio.TimerHandle | None = None
        self._number = 0
        self._missed: dict[int, set[int] | None] = {}
        """In a full room, whose keyframes somebody who lags has missed, by seat; None: all."""
        self.came: deque[tuple[Watcher, bytes]] = deque(maxlen=_MOST)
        """Pose frames since the last tick; whoever puts in the first calls `wake`."""
        self._held: list[Line] = []
        """Lines that tell of nothing until they are polled."""
        self.share: Callable[[list[Pose]], None] | None = None
        """Who is given the poses that came, once a tick."""

    def wake(self) -> None:
        """The first pose since the last tick came in."""
        self._arm()

    def read(self) -> None:
        """Put on the board what came since the last tick."""
        told = len(self.came)
        self._held = [line for line in self._held if line.poll()]
        if told + len(self._held) >= MANY_MOVE:
            lines = [poser.line for poser, _ in islice(self.came, told)]
            self._held += [line for line in lines if line.hold()]
        if self._held:
            self._arm()  # nobody else hears them
        moves: list[Pose] | None = None if self.share is None else []
        # All at once, while code and board are at hand in the processor's caches: one by one, as
        # they come in between the kernel's own work, they take twice as long.
        self._tally.poses_in += len(self.came)
        self._tally.pose_bytes_in += self.board.read(self.came, moves)
        self.came.clear()
        if moves and self.share is not None:
            self.share(moves)

    def put(self, seat: int, seq: int, body: bytes) -> bool:
        """Show a pose in the next tick; False when it is older than what is shown."""
        if not self.board.put(seat, seq, body):
            return False
        self._arm()
        return True

    def welcome(self, watcher: Watcher) -> None:
        """Show a newcomer everyone's last pose."""
        self._regroup_in = 0
        if entries := self.board.snapshot():
            frame = self._frame(entries, snapshot=True)
            watcher.lagging = not watcher.line.offer(frame)
            self._tally.tick(frame, not watcher.lagging)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is None:
            # Timers may ring a little early, and a tick must not come twice.
            passed = int((self._loop.time() - self._phase) / _TICK_S)
            self._number = max(passed, self._number) + 1
            self._timer = self._loop.call_at(self._number * _TICK_S + self._phase, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._tally.ticks += 1
        self.read()
        changes = self.board.drain()
        if len(self.board) > (FULL if self._crowd is None else _EASED):
            self._show_by_square(changes)
        else:
            if self._crowd is not None:
                self._crowd = None
                # What was still waiting for its turn is in no later tick.
                for watcher in self._watchers():
                    watcher.lagging = True
            self._show_all(changes)

    def _show_all(self, changes: Changes) -> None:
        entries = changes.joined()
        frame = self._frame(entries) if entries else None
        behind = []
        watchers = self._watchers()
        missed = 0
        for watcher in watchers:
            if watcher.lagging:
                behind.append(watcher)
            elif frame is not None and not watcher.line.offer(frame):
                watcher.lagging = True
                missed += 1
                self._arm()
        if frame is not None:
            self._tally.tick(frame, len(watchers) - len(behind) - missed)
            self._tally.skipped += len(behind) + missed
        self._catch_up(behind)

    def _show_by_square(self, changes: Changes) -> None:
        if self._crowd is None:
            self._crowd = Crowd(self.board)
            self._regroup_in = 0
        crowd = self._crowd
        moved: dict[int, bytes] = {}
        if self._regroup_in <= 0:
            self._regroup_in = TICKS_BETWEEN
            moved = crowd.regroup([watcher.me.seat for watcher in self._watchers()])
        self._regroup_in -= 1
        frames = {square: self._frame(told) for square, told in crowd.tell(changes).items()}
        for square, frame in frames.items():
            self._tally.tick(frame, crowd.watching[square])
        behind = []
        missed = self._missed
        self._missed = {}
        for watcher in self._watchers():
            seat = watcher.me.seat
            told = frames.get(crowd.square(seat))
            if watcher.lagging:
                behind.append(watcher)
                known = missed.get(seat)
                self._missed[seat] = None if known is None else known | changes.keyed.keys()
            else:
                if near := moved.get(seat):
                    frame = self._frame(near)
                    self._tally.tick(frame, watcher.line.offer(frame))
                if told is None or watcher.line.offer(told):
                    continue
                watcher.lagging = True
                self._missed[seat] = set(changes.keyed)
                self._arm()
            if told is not None:
                self._tally.tick(told, -1)
                self._tally.skipped += 1
        self._catch_up_by_square(crowd, behind)
        if crowd.waiting:
            self._arm()

    def _catch_up(self, behind: Collection[Watcher]) -> None:
        """Deltas that were skipped may have been followed by a keyframe that was skipped too."""
        if not behind:
            return
        snapshot = None
        for watcher in behind:
            if watcher.line.ready:
                snapshot = snapshot or self._frame(self.board.snapshot(), snapshot=True)
                watcher.lagging = not watcher.line.offer(snapshot)
                self._tally.tick(snapshot, not watcher.lagging)
            if watcher.lagging:
                self._arm()

    def _catch_up_by_square(self, crowd: Crowd, behind: Collection[Watcher]) -> None:
        """A snapshot of a full room alone makes a line fall behind that was not: here people get
        the keyframes they missed, and of the rest what they see."""
        for watcher in behind:
            seat = watcher.me.seat
            if watcher.line.ready:
                entries = crowd.catch_up(crowd.square(seat), self._missed[seat])
                frame = self._frame(entries)
                watcher.lagging = not watcher.line.offer(frame)
                self._tally.tick(frame, not watcher.lagging)
            if watcher.lagging:
                self._arm()
            else:
                del self._missed[seat]

    def _frame(self, entries: bytes, *, snapshot: bool = False) -> Frame:
        payload = ticks.tick(self._number, int(self._clock() * 1000), entries, snapshot=snapshot)
        return Frame(payload, binary=True)
