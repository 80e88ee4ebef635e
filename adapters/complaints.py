"""What an operator must hear, and not once for every caller."""

import logging
import time
from collections.abc import Callable

_log = logging.getLogger("vchat.operator")
_AGAIN_S = 300.0


class Complaints:
    """Says each sentence once in a while, however many callers have the same trouble."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[str, float] = {}

    def say(self, text: str) -> None:
        now = self._clock()
        if now - self._said.get(text, -_AGAIN_S) >= _AGAIN_S:
            self._said = {known: at for known, at in self._said.items() if now - at < _AGAIN_S}
            self._said[text] = now
            _log.error(text)
