"""Turns events that arrive at least once and in any order into each once, in order."""

from vchat.events import Event
from vchat.state import Position

_AHEAD = 4096


class Sequencer:
    """Follows one room's log. Holds at most a few thousand events that came too early."""

    def __init__(self) -> None:
        self.epoch: str | None = None
        self.start = 0
        """The last event before the first that can be given out."""
        self.offset = 0
        """The last event given out."""
        self._ahead: dict[tuple[str, int], Event] = {}

    def begin(self, epoch: str, offset: int) -> None:
        """Start after this place, if it has not started."""
        if self.epoch is None:
            self.epoch, self.start, self.offset = epoch, offset, offset
            self._ahead = {
                (of, n): event
                for (of, n), event in self._ahead.items()
                if of == epoch and n > offset
            }

    def take(self, epoch: str, event: Event) -> list[Event]:
        """Take an event of a log in; the events whose turn it is now, which may be none or several.

        Before the start it is not known which log will be followed, and a wiped one echoes on.
        """
        if self.epoch is not None and (epoch != self.epoch or event.offset <= self.offset):
            return []
        if len(self._ahead) < _AHEAD or event.offset == self.offset + 1:
            self._ahead[epoch, event.offset] = event
        return self.ready()

    def ready(self) -> list[Event]:
        """The waiting events whose turn it is."""
        due: list[Event] = []
        while self.epoch is not None and (
            event := self._ahead.pop((self.epoch, self.offset + 1), None)
        ):
            self.offset = event.offset
            due.append(event)
        return due

    @property
    def position(self) -> Position | None:
        """Where the last event given out stands in its log, once there is one to follow."""
        return None if self.epoch is None else Position(self.epoch, self.offset)

    @property
    def early(self) -> frozenset[int]:
        """The offsets of events that wait for one before them."""
        return frozenset(offset for _, offset in self._ahead)

    def drop(self, offsets: frozenset[int]) -> int:
        """Forget those of these that still wait; how many there were."""
        doomed = [place for place in self._ahead if place[1] in offsets]
        for place in doomed:
            del self._ahead[place]
        return len(doomed)

    @property
    def gap(self) -> bool:
        """Whether an event is missing before one that is here."""
        return self.epoch is not None and bool(self._ahead)
