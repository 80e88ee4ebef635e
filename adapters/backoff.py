"""How long to wait before trying again: doubling, capped, and never in step with others."""

import random


class Backoff:
    """Waits in seconds, each drawn evenly between zero and a limit that doubles up to `most`.

    The draw is "full jitter": instances that lost the same server do not come back together.
    """

    def __init__(self, least: float, most: float) -> None:
        self._least = least
        self._most = most
        self._limit = least

    def next(self) -> float:
        wait = random.uniform(0, self._limit)  # noqa: S311 - spreads load, guards nothing
        self._limit = min(2 * self._limit, self._most)
        return wait

    def reset(self) -> None:
        self._limit = self._least
