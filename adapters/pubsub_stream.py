"""One streaming pull: what arrives, acknowledged as soon as it is here."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.pubsub_v1 import SubscriberAsyncClient, types

ACK_DEADLINE_S = 10
_ACK_EVERY_S = 0.2
_ACKS = 1000  # of about 200 bytes each, in requests of at most 512 KiB
_UNACKED = 4000
_HEARTBEAT_S = 30.0


class Received:
    """A message as it came; `sender` is "" if it names none, `at` is in seconds since the epoch."""

    __slots__ = ("at", "data", "sender")

    def __init__(self, message: Any) -> None:
        self.data: bytes = message.data
        self.sender: str = message.attributes.get("instance", "")
        self.at: float = message.publish_time.seconds + message.publish_time.nanos / 1e9


@asynccontextmanager
async def streaming_pull(
    client: SubscriberAsyncClient, path: str
) -> AsyncIterator[AsyncIterator[Iterator[Received]]]:
    """Batches of messages of a subscription. They end, or raise, sooner or later."""
    acks = _Acks(path)
    call: Any = await client.streaming_pull(
        acks.requests(),
        retry=None,
        timeout=None,
        metadata=(("x-goog-request-params", f"subscription={path}"),),
    )
    try:
        yield _batches(call, acks)
    finally:
        call.cancel()
        acks.close()


async def _batches(call: Any, acks: "_Acks") -> AsyncIterator[Iterator[Received]]:
    # Reading below the wrappers of proto-plus, which cost more than all else here.
    while (response := await call.read()) is not grpc.aio.EOF:
        received = types.StreamingPullResponse.pb(response).received_messages
        acks.add([one.ack_id for one in received])
        yield (Received(one.message) for one in received)


class _Acks:
    """What a streaming pull says to the server: its name first, then what has been received."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._ids: list[str] = []
        self._some = asyncio.Event()
        self._closed = False

    def add(self, ids: list[str]) -> None:
        self._ids += ids
        self._some.set()

    def close(self) -> None:
        """End `requests`: grpc only cancels it for calls that we end, not for those that fail."""
        self._closed = True
        self._some.set()

    async def requests(self) -> AsyncIterator[types.StreamingPullRequest]:
        yield types.StreamingPullRequest(
            subscription=self._path,
            stream_ack_deadline_seconds=ACK_DEADLINE_S,
            max_outstanding_messages=_UNACKED,
        )
        while not self._closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(_HEARTBEAT_S):
                    await self._some.wait()
                    # A moment's patience lets one request acknowledge many messages.
                    await asyncio.sleep(_ACK_EVERY_S)
            ids, self._ids = self._ids[:_ACKS], self._ids[_ACKS:]
            if not self._ids:
                self._some.clear()
            yield types.StreamingPullRequest(ack_ids=ids)
