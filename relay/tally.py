"""What a relay counts of its work: plain integers, summed only when somebody asks.

Each room has one, and the instance one for what happened outside of rooms and in rooms that are
closed by now. Nothing is counted for each frame or watcher of a tick that could be counted once.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from relay.line import Frame


@dataclass(slots=True)
class Tally:
    """Counts since the start of the room or instance. Bytes are those of WebSocket frames to
    browsers, and of payloads from them."""

    poses_in: int = 0
    """Counted when a tick reads them."""
    pose_bytes_in: int = 0
    events_in: int = 0
    event_bytes_in: int = 0
    controls_in: int = 0
    control_bytes_in: int = 0
    ticks: int = 0
    poses_out: int = 0
    """Tick frames, to each person who got one."""
    pose_bytes_out: int = 0
    events_out: int = 0
    event_bytes_out: int = 0
    controls_out: int = 0
    control_bytes_out: int = 0
    skipped: int = 0
    """Tick frames that people who were behind did not get."""
    stored: int = 0
    """Events that people of this instance brought about."""
    unpublished: int = 0
    """Messages to other instances that were dropped, since too many waited or the bus was away."""
    malformed: int = 0
    """Messages and events from the bus that no instance of ours can have sent."""

    def tick(self, frame: Frame, people: int) -> None:
        self.poses_out += people
        self.pose_bytes_out += people * len(frame.wire)

    def event(self, frame: Frame, people: int) -> None:
        self.events_out += people
        self.event_bytes_out += people * len(frame.wire)

    def control(self, frame: Frame) -> None:
        self.controls_out += 1
        self.control_bytes_out += len(frame.wire)

    def add(self, other: "Tally") -> None:
        for name in Tally.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def frames_out(self) -> int:
        return self.poses_out + self.events_out + self.controls_out

    @property
    def bytes_out(self) -> int:
        return self.pose_bytes_out + self.event_bytes_out + self.control_bytes_out


@dataclass(slots=True)
class Doors:
    """What became of the connections of this instance."""

    opened: int = 0
    closed: int = 0
    closes: Counter[str] = field(default_factory=Counter)
    """Those that the relay ended, by the code of the reason (vchat.errors)."""
    refused: Counter[str] = field(default_factory=Counter)
    """Those that admission control turned away before they said anything, by its reason."""

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Count a connection for as long as it lasts."""
        self.opened += 1
        try:
            yield
        finally:
            self.closed += 1

    @property
    def open(self) -> int:
        return self.opened - self.closed
