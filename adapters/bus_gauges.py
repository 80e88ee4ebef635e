"""What a bus counts about itself, for whoever shows numbers."""

from dataclasses import dataclass


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
