"""Turns events that arrive at least once and in any order into each once, in order."""

from vchat.events import Event

_AHEAD = 4096


class Sequencer:
    """Follows one room's log. Holds at most a few thousand events that came too early."""

    def __init__(self) -> None:
        self.epoch: str | None = None
        self.offset = 0
        """The last event given out."""
        self._ahead: dict[int, Event] = {}

    def begin(self, epoch: str, offset: int) -> None:
        """Start after this place, if it has not started."""
        if self.epoch is None:
            self.epoch, self.offset = epoch, offset
            self._ahead = {n: event for n, event in self._ahead.items() if n > offset}

    def take(self, event: Event) -> list[Event]:
        """Take an event in; the events whose turn it is now, which may be none or several."""
        if self.epoch is not None and event.offset <= self.offset:
            return []
        if len(self._ahead) < _AHEAD:
            self._ahead[event.offset] = event
        return self.ready()

    def ready(self) -> list[Event]:
        """The waiting events whose turn it is."""
        due: list[Event] = []
        while self.epoch is not None and (event := self._ahead.pop(self.offset + 1, None)):
            self.offset = event.offset
            due.append(event)
        return due

    @property
    def gap(self) -> bool:
        """Whether an event is missing before one that is here."""
        return self.epoch is not None and bool(self._ahead)
