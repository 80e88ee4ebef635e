"""One connection's stay in a room, as the room knows it."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from relay.line import Line
from relay.ticker import Watcher
from vchat.errors import Refused, Why
from vchat.events import Event
from vchat.model import Member

_NOTHING: deque[tuple[Watcher, bytes]] = deque(maxlen=0)


class Close(Protocol):
    """Says bye and closes one browser's connection."""

    def __call__(self, why: Why, retry_ms: int | None = None) -> None: ...


class Migrate(Protocol):
    """Asks one browser to move to another connection, and closes this one if it has not by then."""

    def __call__(self, after_ms: int, grace_s: float, why: Why) -> None: ...


def _never() -> bool:
    return False


def _nowhere(after_ms: int, grace_s: float, why: Why) -> None:
    pass


def _nobody() -> None:
    pass


@dataclass(slots=True, eq=False)
class Stay:
    """`known` is the last event its browser was given."""

    session: str
    line: Line
    close: Close
    reject: Callable[[Refused], None]
    me: Member
    # The conversation's, from the welcome on: nothing is asked of a browser before it.
    judge: Callable[[], bool] = _never
    migrate: Migrate = _nowhere
    generation: int = 0
    known: int = 0
    lagging: bool = False
    seat: int = 0
    credit: int = 0
    heard: bool = False
    over: bool = False
    arriving: list[Event] = field(default_factory=list)
    arriving_bytes: int = 0
    # The room's, once the browser was welcomed.
    came: deque[tuple[Watcher, bytes]] = field(default_factory=lambda: _NOTHING)
    wake: Callable[[], None] = _nobody

    def mute(self) -> None:
        """Nothing that still waits to be shown is: the room may have forgotten the avatar."""
        self.credit, self.over = 0, True

    def end(self) -> None:
        """Let go of those who hold it: what is left in a ring waits for the garbage collector, and
        everybody here waits for that."""
        self.judge, self.migrate, self.wake = _never, _nowhere, _nobody

    def on_pose(self, frame: bytes) -> None:
        """A pose frame came: it is judged and read when the room's next tick is made."""
        # Called for every pose there is, and in between the kernel works: the less here the better.
        came = self.came
        if not came:
            self.wake()
        came.append((self, frame))
