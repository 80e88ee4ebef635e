"""A token bucket that lives with one connection."""

from vchat.limits import Rate


class Bucket:
    """Gives `rate.burst` at once and then `rate.per_s` each second; `now` is in seconds."""

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._at = now

    def take(self, now: float) -> int:
        """0 and one token less, or the milliseconds until there is one."""
        rate = self._rate
        tokens = min(rate.burst, self._tokens + (now - self._at) * rate.per_s)
        self._at = now
        if tokens >= 1:
            self._tokens = tokens - 1
            return 0
        self._tokens = tokens
        return max(1, round((1 - tokens) * 1000 / rate.per_s))

    def take_ahead(self, most: int) -> int:
        """Up to `most` more tokens, for the next times, which then need not look at the clock."""
        taken = min(most, int(self._tokens))
        self._tokens -= taken
        return taken
