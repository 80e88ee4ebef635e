"""The pose ticks of one room: one merged frame per tick, the same bytes for everyone.

A room where nobody moves has no timer. Each room ticks at its own phase, so that many rooms do not
all write in the same millisecond.
"""

import asyncio
import random
from collections.abc import Callable, Collection
from typing import Protocol

from relay.line import Frame, Line
from vchat import limits, ticks
from vchat.pose_board import PoseBoard

_TICK_S = 1 / limits.TICK_HZ


class Watcher(Protocol):
    """Someone who is shown the poses; `lagging` when a tick had to be skipped."""

    line: Line
    lagging: bool


class Ticker:
    """Merges what is put on the board and sends it to all watchers, when there is something."""

    def __init__(
        self, watchers: Callable[[], Collection[Watcher]], clock: Callable[[], float]
    ) -> None:
        self.board = PoseBoard()
        self._watchers = watchers
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._phase = random.random() * _TICK_S  # noqa: S311 (spreads load, guards nothing)
        self._timer: asyncio.TimerHandle | None = None

    def put(self, seat: int, seq: int, body: bytes) -> bool:
        """Show a pose in the next tick; False when it is older than what is shown."""
        if not self.board.put(seat, seq, body):
            return False
        self._arm()
        return True

    def welcome(self, watcher: Watcher) -> None:
        """Show a newcomer everyone's last pose."""
        if entries := self.board.snapshot():
            watcher.lagging = not watcher.line.offer(self._frame(entries, snapshot=True))

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is None:
            count = (self._loop.time() - self._phase) // _TICK_S + 1
            self._timer = self._loop.call_at(count * _TICK_S + self._phase, self._tick)

    def _tick(self) -> None:
        self._timer = None
        entries = self.board.drain()
        frame = self._frame(entries) if entries else None
        snapshot: Frame | None = None
        for watcher in self._watchers():
            if not watcher.lagging:
                if frame is not None and not watcher.line.offer(frame):
                    watcher.lagging = True
                    self._arm()
                continue
            # Deltas that were skipped may have been followed by a keyframe that was skipped too.
            snapshot = snapshot or self._frame(self.board.snapshot(), snapshot=True)
            watcher.lagging = not watcher.line.offer(snapshot)
            if watcher.lagging:
                self._arm()

    def _frame(self, entries: bytes, *, snapshot: bool = False) -> Frame:
        number = int((self._loop.time() - self._phase) / _TICK_S)
        payload = ticks.tick(number, int(self._clock() * 1000), entries, snapshot=snapshot)
        return Frame(payload, binary=True)
