"""The calls V-Chat makes to Pub/Sub: asyncio all the way, each with a deadline, none retried here.

Every call raises what `google_trouble.ERRORS` lists. The threaded subscriber of the client library
costs about five threads a room; a streaming pull over grpc.aio costs none.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import google.auth
import grpc  # type: ignore[import-untyped]
from google.api_core import exceptions
from google.pubsub_v1 import PublisherAsyncClient, SubscriberAsyncClient, types
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport

from adapters.google_trouble import Service
from adapters.pubsub_names import DELETED_TOPIC, subscription_path, topic_path

SERVER = "pubsub.googleapis.com"
ADMIN_S = 5.0
"""The deadline of every call that makes, reads or deletes a topic or subscription."""
STREAMS_PER_CHANNEL = 80
"""Google's front ends allow about 100 streams in one HTTP/2 connection."""
_SCOPES = ("https://www.googleapis.com/auth/pubsub",)
_EXPIRY = timedelta(
    days=1
)  # the least Pub/Sub allows: what crashes leave behind is gone after a day
_RETENTION = timedelta(minutes=10)  # the least Pub/Sub allows: nobody wants an old message
_ACK_DEADLINE_S = 10
_ACK_EVERY_S = 0.2
_ACKS = 1000  # of about 200 bytes each, in requests of at most 512 KiB
_UNACKED = 4000
_HEARTBEAT_S = 30.0
_CHANNEL = (
    # Without this, equal channels share one connection and the pool would be none.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # grpc waits up to two minutes between connection attempts; we have our own backoff.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 3000),
)
_KEEPALIVE = (("grpc.keepalive_time_ms", 30_000),)  # finds a connection that died without a word


class Received:
    """A message as it came; `sender` is "" if it names none, `at` is in seconds since the epoch."""

    __slots__ = ("at", "data", "sender")

    def __init__(self, message: Any) -> None:
        self.data: bytes = message.data
        self.sender: str = message.attributes.get("instance", "")
        self.at: float = message.publish_time.seconds + message.publish_time.nanos / 1e9


class Wire:
    """A project's Pub/Sub, or the emulator at `emulator` ("host:port")."""

    def __init__(self, project: str, *, emulator: str | None = None) -> None:
        self.project = project
        self.service = Service(
            name="Pub/Sub",
            api=SERVER,
            emulator_setting="PUBSUB_EMULATOR_HOST",
            project=project,
            server=emulator or SERVER,
            quota="10,000 topics and 10,000 subscriptions are fixed limits of a project; see that "
            "the janitor runs",
        )
        self._emulator = emulator
        self._connecting: asyncio.Task[None] | None = None
        self._credentials: Any = None
        self._channels: list[grpc.aio.Channel] = []
        self._streams: list[_StreamClient] = []

    async def publish(
        self, room_id: str, messages: Sequence[bytes], *, sender: str, timeout: float
    ) -> None:
        attributes = {"instance": sender}
        request = types.PublishRequest(
            topic=topic_path(self.project, room_id),
            messages=[types.PubsubMessage(data=data, attributes=attributes) for data in messages],
        )
        await self._connected()
        await self._publisher.publish(request, retry=None, timeout=timeout)

    async def create_topic(self, room_id: str) -> None:
        """Idempotent."""
        topic = types.Topic(name=topic_path(self.project, room_id), labels={"app": "vchat"})
        await self._connected()
        with suppress(exceptions.AlreadyExists):
            await self._publisher.create_topic(topic, retry=None, timeout=ADMIN_S)

    async def create_subscription(self, room_id: str, instance: str) -> None:
        """Raises NotFound without the topic, AlreadyExists when there is one of this name."""
        subscription = types.Subscription(
            name=subscription_path(self.project, room_id, instance),
            topic=topic_path(self.project, room_id),
            ack_deadline_seconds=_ACK_DEADLINE_S,
            message_retention_duration=_RETENTION,
            expiration_policy=types.ExpirationPolicy(ttl=_EXPIRY),
            # The emulator takes filters but does not apply them, so the bus looks again.
            filter=f'attributes.instance != "{instance}"',
            labels={"app": "vchat", "instance": instance},
        )
        await self._connected()
        await self._subscriber.create_subscription(subscription, retry=None, timeout=ADMIN_S)

    async def attached(self, room_id: str, instance: str) -> bool:
        """Whether the subscription still hangs on its room's topic.

        One whose topic was deleted stays silent for ever, also when the topic is made again.
        """
        await self._connected()
        name = subscription_path(self.project, room_id, instance)
        found = await self._subscriber.get_subscription(
            subscription=name, retry=None, timeout=ADMIN_S
        )
        return bool(found.topic != DELETED_TOPIC)

    async def delete_subscription(self, path: str) -> None:
        """Idempotent."""
        await self._connected()
        with suppress(exceptions.NotFound):
            await self._subscriber.delete_subscription(
                subscription=path, retry=None, timeout=ADMIN_S
            )

    async def delete_topic(self, path: str) -> None:
        """Idempotent. Its subscriptions stay, cut off: delete them first."""
        await self._connected()
        with suppress(exceptions.NotFound):
            await self._publisher.delete_topic(topic=path, retry=None, timeout=ADMIN_S)

    async def topics(self) -> list[str]:
        """The paths of all topics of the project."""
        await self._connected()
        request = types.ListTopicsRequest(project=f"projects/{self.project}", page_size=1000)
        pages = await self._publisher.list_topics(request, retry=None, timeout=ADMIN_S)
        return [topic.name async for topic in pages]

    async def subscriptions(self) -> list[str]:
        """The paths of all subscriptions of the project."""
        await self._connected()
        request = types.ListSubscriptionsRequest(project=f"projects/{self.project}", page_size=1000)
        pages = await self._subscriber.list_subscriptions(request, retry=None, timeout=ADMIN_S)
        return [subscription.name async for subscription in pages]

    @asynccontextmanager
    async def pull(
        self, room_id: str, instance: str
    ) -> AsyncIterator[AsyncIterator[Iterator[Received]]]:
        """A stream of what comes, acknowledged on receipt. It ends or raises sooner or later."""
        await self._connected()
        path = subscription_path(self.project, room_id, instance)
        acks = _Acks(path)
        async with self._stream_client() as client:
            call: Any = await client.streaming_pull(
                acks.requests(),
                retry=None,
                timeout=None,
                metadata=(("x-goog-request-params", f"subscription={path}"),),
            )
            try:
                yield self._batches(call, acks)
            finally:
                call.cancel()
                acks.close()

    async def close(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait({self._connecting})
        channels, self._channels, self._streams, self._connecting = self._channels, [], [], None
        for channel in channels:
            await channel.close()

    async def _batches(self, call: Any, acks: "_Acks") -> AsyncIterator[Iterator[Received]]:
        # Reading below the wrappers of proto-plus, which cost more than all else here.
        while (response := await call.read()) is not grpc.aio.EOF:
            received = types.StreamingPullResponse.pb(response).received_messages
            acks.add([one.ack_id for one in received])
            yield (Received(one.message) for one in received)

    @asynccontextmanager
    async def _stream_client(self) -> AsyncIterator[SubscriberAsyncClient]:
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

    async def _connected(self) -> None:
        """Connect once, whoever asks first; a failure is everybody's who waits, then forgotten."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
        connecting = self._connecting
        if not connecting.done():
            await asyncio.wait({connecting}, timeout=ADMIN_S)
        if not connecting.done():
            raise TimeoutError
        if connecting.exception() is not None and self._connecting is connecting:
            self._connecting = None
        connecting.result()

    async def _connect(self) -> None:
        if self._emulator is None:
            # Looks at files and at the metadata server, and blocks while it does.
            self._credentials, _ = await asyncio.to_thread(google.auth.default, scopes=_SCOPES)
        channel = self._channel()
        self._publisher = PublisherAsyncClient(
            transport=PublisherGrpcAsyncIOTransport(channel=channel)
        )
        self._subscriber = SubscriberAsyncClient(
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
        self._channels.append(channel)
        return channel


@dataclass(slots=True)
class _StreamClient:
    client: SubscriberAsyncClient
    streams: int = 0


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
            stream_ack_deadline_seconds=_ACK_DEADLINE_S,
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
