"""Connections to Pub/Sub: one for single calls, and a small pool for streams."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import google.auth
import grpc  # type: ignore[import-untyped]
from google.pubsub_v1 import PublisherAsyncClient, SubscriberAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport

SERVER = "pubsub.googleapis.com"
STREAMS_PER_CHANNEL = 80
"""Google's front ends allow about 100 streams in one HTTP/2 connection."""
CONNECT_S = 5.0
_SCOPES = ("https://www.googleapis.com/auth/pubsub",)
_CHANNEL = (
    # Without this, equal channels share one connection and the pool would be none.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # grpc waits up to two minutes between connection attempts; we have our own backoff.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5000),  # which also is how long one attempt may take
    ("grpc.max_reconnect_backoff_ms", 3000),
)
_KEEPALIVE = (("grpc.keepalive_time_ms", 30_000),)  # finds a connection that died without a word


@dataclass(slots=True)
class _StreamClient:
    client: SubscriberAsyncClient
    streams: int = 0


class Channels:
    """Connects when first asked, to Google or to the emulator at `emulator` ("host:port")."""

    publisher: PublisherAsyncClient
    subscriber: SubscriberAsyncClient

    def __init__(self, emulator: str | None) -> None:
        self._emulator = emulator
        self._connecting: asyncio.Task[None] | None = None
        self._credentials: Any = None
        self._open: list[grpc.aio.Channel] = []
        self._streams: list[_StreamClient] = []

    async def connected(self) -> None:
        """Connect once, whoever asks first; a failure is everybody's who waits, then forgotten."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
        connecting = self._connecting
        if not connecting.done():
            await asyncio.wait({connecting}, timeout=CONNECT_S)
        if not connecting.done():
            raise TimeoutError
        if connecting.exception() is not None and self._connecting is connecting:
            self._connecting = None
        connecting.result()

    @asynccontextmanager
    async def stream_client(self) -> AsyncIterator[SubscriberAsyncClient]:
        """A client with a connection that has room for one more stream."""
        free = (entry for entry in self._streams if entry.streams < STREAMS_PER_CHANNEL)
        entry = next(free, None)
        if entry is None:
            transport = SubscriberGrpcAsyncIOTransport(channel=self._channel(*_KEEPALIVE))
            entry = _StreamClient(SubscriberAsyncClient(transport=transport))
            self._streams.append(entry)
        entry.streams += 1
        try:
            yield entry.client
        finally:
            entry.streams -= 1

    async def close(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait({self._connecting})
        channels, self._open, self._streams, self._connecting = self._open, [], [], None
        for channel in channels:
            await channel.close()

    async def _connect(self) -> None:
        if self._emulator is None:
            # Looks at files and at the metadata server, and blocks while it does.
            self._credentials, _ = await asyncio.to_thread(google.auth.default, scopes=_SCOPES)
        channel = self._channel()
        self.publisher = PublisherAsyncClient(
            transport=PublisherGrpcAsyncIOTransport(channel=channel)
        )
        self.subscriber = SubscriberAsyncClient(
            transport=SubscriberGrpcAsyncIOTransport(channel=channel)
        )

    def _channel(self, *options: tuple[str, int]) -> grpc.aio.Channel:
        if self._emulator is not None:
            # No keepalive: the emulator's server takes frequent pings for an attack.
            channel = grpc.aio.insecure_channel(self._emulator, options=_CHANNEL)
        else:
            channel = SubscriberGrpcAsyncIOTransport.create_channel(
                f"{SERVER}:443",
                credentials=self._credentials,
                scopes=_SCOPES,
                options=_CHANNEL + options,
            )
        self._open.append(channel)
        return channel
