"""Telling a room's events to those who are here: at once, and in a full room once a tick.

A write to a thousand people costs the same for one event as for three. So where many listen, the
first event goes out at once, and those that follow within a tick share a write.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Protocol

from relay.line import Bundle, Frame, Line
from relay.tally import Tally
from vchat import limits
from vchat.events import Event

MANY = 64
"""With more listeners than this, events wait for each other."""
_WAIT_S = 1 / limits.TICK_HZ


class Listener(Protocol):
    """Someone who hears events; `known` is the offset of the last one they were given."""

    line: Line
    known: int


class Teller:
    """Gives each listener every event it does not know, in order."""

    def __init__(self, listeners: Callable[[], Collection[Listener]], tally: Tally) -> None:
        self._listeners = listeners
        self._tally = tally
        self._loop = asyncio.get_running_loop()
        self._untold: list[Event] = []
        self._told_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    def tell(self, event: Event, *, urgent: bool) -> None:
        """Tell the next event; an `urgent` one takes all that wait with it."""
        self._untold.append(event)
        since = self._loop.time() - self._told_at
        if urgent or since >= _WAIT_S or len(self._listeners()) <= MANY:
            self._tell_all()
        elif self._timer is None:
            self._timer = self._loop.call_later(_WAIT_S - since, self._tell_all)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell_all(self) -> None:
        self.stop()
        self._told_at = self._loop.time()
        events, self._untold = self._untold, []
        frames = [Frame(event.frame()) for event in events]
        together = frames[0] if len(frames) == 1 else Bundle(frames)
        before, last = events[0].offset - 1, events[-1].offset
        listeners = self._listeners()
        told = len(listeners)
        for listener in listeners:
            if listener.known <= before:
                listener.known = last
                listener.line.send(together)
                continue
            told -= 1
            # Came while these were waiting, and was welcomed with the first of them.
            for event, frame in zip(events, frames, strict=True):
                if event.offset > listener.known:
                    listener.known = event.offset
                    listener.line.send(frame)
                    self._tally.event(frame, 1)
        for frame in frames:
            self._tally.event(frame, told)
