"""What the bus and the shared state count about themselves, for whoever shows numbers."""

from bisect import bisect_left
from dataclasses import dataclass, field

LATENCY_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Upper ends of the steps that latencies are counted in; one more step holds the rest."""


@dataclass(slots=True)
class BusGauges:
    """Counts since the start, except `topics` and `subscriptions`: those held right now."""

    topics: int = 0
    subscriptions: int = 0
    sent: int = 0
    """Messages handed over to the bus."""
    unheard: int = 0
    """Messages to rooms that no instance listens to, because their topic does not exist."""
    refused: int = 0
    """Messages that could not be sent in time."""
    received: int = 0
    own: int = 0
    """Messages of this very instance that came back, and were ignored."""
    malformed: int = 0
    """Messages that no V-Chat instance can have sent."""
    dropped: int = 0
    """Messages that slow listeners lost."""
    reconnects: int = 0
    reattached: int = 0
    """How often a topic or subscription was gone and had to be made again."""
    orphans: int = 0
    """Subscriptions that could not be deleted on leaving; the janitor's work."""
    lag_ms: float = 0.0
    """The age of the newest message on arrival, by this machine's clock and the service's."""


@dataclass(slots=True)
class StateGauges:
    """Calls of the shared state since the start."""

    steps: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_S) + 1))
    """How many calls took up to each of LATENCY_S, and how many took longer."""
    seconds: float = 0.0
    """What all calls took together."""
    failed: int = 0
    """Calls that got no answer in time."""

    def took(self, seconds: float) -> None:
        self.steps[bisect_left(LATENCY_S, seconds)] += 1
        self.seconds += seconds

    @property
    def calls(self) -> int:
        return sum(self.steps)
