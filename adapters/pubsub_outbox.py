"""Messages on their way to one room's topic: those that leave together share one request."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from vchat.errors import Refused, Why

LINGER_S = 0.002
"""How long the first message waits for company."""
BATCH_MESSAGES = 1000
BATCH_BYTES = 9_000_000
"""Pub/Sub takes requests of up to 10 MB, attributes included."""
_OVERHEAD_BYTES = 256
QUEUE_MESSAGES = 2000
QUEUE_BYTES = 18_000_000
"""What may wait for one room; beyond it messages are refused."""

Send = Callable[[Sequence[bytes]], Awaitable[None]]


class Outbox:
    """Sends a room's messages in batches, one after the other.

    `send` raises Refused for the whole batch. `idle` is called when nothing is left to send.
    """

    def __init__(self, send: Send, idle: Callable[[], None]) -> None:
        self._send = send
        self._idle = idle
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._bytes = 0
        self._sending: asyncio.Task[None] | None = None

    async def put(self, message: bytes) -> None:
        """Returns once the message is sent; raises what `send` did with its batch."""
        if len(self._waiting) >= QUEUE_MESSAGES or self._bytes + _weight(message) > QUEUE_BYTES:
            raise Refused(Why.UNAVAILABLE, "Too many messages wait to leave.", retry_ms=1000)
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((message, sent))
        self._bytes += _weight(message)
        if self._sending is None:
            self._sending = asyncio.create_task(self._run())
        await sent

    async def close(self) -> None:
        """Refuse what still waits."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait({self._sending})
            self._end([])  # a task that never began had no chance to

    async def _run(self) -> None:
        batch: list[tuple[bytes, asyncio.Future[None]]] = []
        try:
            await asyncio.sleep(LINGER_S)
            while batch := self._next_batch():
                failure: Refused | None = None
                try:
                    await self._send([message for message, _ in batch])
                except Refused as refused:
                    failure = refused
                _settle(batch, failure)
        finally:
            # Reached with something in hand only by cancellation or a fault in `send`.
            self._end(batch)

    def _end(self, batch: list[tuple[bytes, asyncio.Future[None]]]) -> None:
        _settle(batch + self._waiting, Refused(Why.UNAVAILABLE, "The bus is closing."))
        self._waiting.clear()
        self._bytes = 0
        if self._sending is not None:
            self._sending = None
            self._idle()

    def _next_batch(self) -> list[tuple[bytes, asyncio.Future[None]]]:
        size = count = 0
        for message, _ in self._waiting[:BATCH_MESSAGES]:
            size += _weight(message)
            if size > BATCH_BYTES:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        self._bytes -= sum(_weight(message) for message, _ in batch)
        return batch


def _weight(message: bytes) -> int:
    return len(message) + _OVERHEAD_BYTES


def _settle(batch: list[tuple[bytes, asyncio.Future[None]]], failure: Refused | None) -> None:
    for _, sent in batch:
        if sent.done():  # its sender gave up
            continue
        if failure is None:
            sent.set_result(None)
        else:
            # Each its own: raising adds a traceback to the exception.
            sent.set_exception(Refused(failure.why, failure.detail, retry_ms=failure.retry_ms))
