"""What a room's bots sent and heard, held against each other: nothing lost, repeated or swapped."""

from collections import Counter
from dataclasses import dataclass, field


class Spread:
    """Many times in ms, kept as a histogram of a tenth each."""

    def __init__(self, tenths: Counter[int] | None = None) -> None:
        self.tenths = Counter[int]() if tenths is None else tenths

    def add(self, seconds: float) -> None:
        self.tenths[round(seconds * 10_000)] += 1

    def __add__(self, other: "Spread") -> "Spread":
        return Spread(self.tenths + other.tenths)

    def quantile(self, part: float) -> float | None:
        """The value below which this part of all is, in ms; None without any."""
        left = part * self.tenths.total()
        for tenth in sorted(self.tenths):
            left -= self.tenths[tenth]
            if left <= 0:
                return tenth / 10
        return None


@dataclass
class Ledger:
    """One room's. Offsets belong to an epoch: a wiped log begins a new one."""

    epoch: str = ""
    ids: dict[int, str] = field(default_factory=dict)
    """The message that was first heard at an offset."""
    acked: dict[int, str] = field(default_factory=dict)
    heard: int = 0
    sent: dict[str, float] = field(default_factory=dict)
    lost: int = 0
    repeated: int = 0
    swapped: int = 0
    unrecovered: int = 0
    """Returns after which the relay said that something is missing."""
    chats: Spread = field(default_factory=Spread)
    poses: Spread = field(default_factory=Spread)
    gaps: Spread = field(default_factory=Spread)

    def begin(self, epoch: str) -> None:
        if epoch != self.epoch:
            self.epoch = epoch
            self.ids.clear()
            self.acked.clear()

    def event(self, known: int, offset: int, message_id: str, now: float) -> int:
        """Somebody who knew all up to `known` heard this event; what they know then."""
        self.heard += 1
        if offset <= known:
            self.repeated += 1
            return known
        self.lost += offset - known - 1
        if message_id:
            first = self.ids.setdefault(offset, message_id)
            self.swapped += first != message_id
            if (sent := self.sent.get(message_id)) is not None:
                self.chats.add(now - sent)
        return offset

    def ack(self, offset: int, message_id: str) -> None:
        self.acked[offset] = message_id

    @property
    def head(self) -> int:
        return max(self.acked, default=0)

    def close(self, known: list[int]) -> None:
        """At the end: what those who are here do not know, and what nobody heard, is lost."""
        self.lost += sum(max(0, self.head - one) for one in known)
        self.lost += sum(self.ids.get(offset) != one for offset, one in self.acked.items())
