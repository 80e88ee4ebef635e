"""A room's log as one instance follows it: each event once, in order, whichever way it came."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from relay.tasks import Tasks
from vchat.errors import Refused, Why
from vchat.events import Event
from vchat.sequencer import Sequencer
from vchat.state import Position, State

_GAP_S = 0.05
"""How long a missing event may be on its way before the log is asked."""
_READ = 500


class FollowedLog:
    """Tells each event after the place where it began to follow, and reads what did not come."""

    def __init__(
        self,
        room_id: str,
        *,
        state: State,
        tasks: Tasks,
        tell: Callable[[Event], None],
        lost: Callable[[Why], None],
        unknown: Callable[[], None],
    ) -> None:
        """`lost` is called when the log cannot be followed further, and `unknown` for an event that
        came from elsewhere and is not in the log."""
        self._room_id = room_id
        self._state = state
        self._tasks = tasks
        self._tell = tell
        self._lost = lost
        self._unknown = unknown
        self._events = Sequencer()
        self._filling = False

    @property
    def position(self) -> Position | None:
        """The last event that was told, once there is a log to follow."""
        return self._events.position

    @property
    def offset(self) -> int:
        """Its number."""
        return self._events.offset

    @property
    def start(self) -> int:
        """The last event before the first that could be told."""
        return self._events.start

    def learn(self, epoch: str, head: int, added: Sequence[Event]) -> bool:
        """Take in what the state said: where the log stands, and the events this step added. False
        when it is another log than the one that was followed."""
        if self._events.epoch not in (None, epoch):
            self._lost(Why.SESSION_UNKNOWN)  # seats and resume tokens went with it
            return False
        self._events.begin(epoch, added[0].offset - 1 if added else head)
        self.take(epoch, added)
        if head > self._events.offset:
            self._fill_later()
        return True

    def take(self, epoch: str, arrived: Iterable[Event]) -> None:
        """Take in events that came by whatever way."""
        for event in arrived:
            for due in self._events.take(epoch, event):
                self._tell(due)
        if self._events.gap:
            self._fill_later()

    def _fill_later(self) -> None:
        if not self._filling:
            self._filling = True
            self._tasks.start(self._fill(), f"filling a gap in {self._room_id}")

    async def _fill(self) -> None:
        """Read from the log what did not come by itself."""
        try:
            await asyncio.sleep(_GAP_S)
            await self.catch_up()
        except Refused:
            return  # The next renewal sees the gap again.
        finally:
            self._filling = False

    async def catch_up(self) -> None:
        """Tell everything up to the log's end. Raises Refused."""
        while True:
            after = self._events.position
            assert after is not None
            early = self._events.early
            found = await self._state.read(self._room_id, after, _READ)
            if found is None:
                self._lost(Why.ROTATE)
                return
            self.take(after.epoch, found)
            if len(found) < _READ:
                # An event is stored before it is sent, so what was here early is in the log by now.
                for _ in range(self._events.drop(early)):
                    self._unknown()
                return

    async def since(self, place: Position) -> tuple[Event, ...] | None:
        """All events after `place`; None when the log does not reach back to it. Raises Refused."""
        missed: list[Event] = []
        while True:
            found = await self._state.read(self._room_id, place, _READ)
            if found is None:
                return None
            missed += found
            if len(found) < _READ:
                return tuple(missed)
            place = Position(place.epoch, found[-1].offset)
