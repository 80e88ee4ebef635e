"""A listener's waiting messages: bounded, and the oldest give way."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

MESSAGE_BYTES = 1024 * 1024
"""The largest message of any bus, in bytes: as much as the largest frame a relay sends."""
CAPACITY = 1024
"""How many messages may wait for one listener."""


def checked(message: bytes) -> bytes:
    """The message, if a bus may carry it; ValueError when it is empty or too large."""
    if not 0 < len(message) <= MESSAGE_BYTES:
        raise ValueError(f"A message has 1 to {MESSAGE_BYTES} bytes, this one {len(message)}.")
    return message


class Inbox(AsyncIterator[bytes]):
    """Messages on their way to the one task that iterates. `close` ends the iteration."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._messages: deque[bytes] = deque(maxlen=capacity)
        self._arrived = asyncio.Event()
        self._closed = False

    def put(self, message: bytes) -> bool:
        """Add a message; False when the oldest one had to go for it."""
        kept_all = len(self._messages) != self._messages.maxlen
        self._messages.append(message)
        self._arrived.set()
        return kept_all

    def close(self) -> None:
        self._closed = True
        self._arrived.set()

    async def __anext__(self) -> bytes:
        while not self._messages:
            if self._closed:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        return self._messages.popleft()
