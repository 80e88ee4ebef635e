"""The calls V-Chat makes to Pub/Sub: asyncio all the way, each with a deadline, none retried here.

Every call raises what `google_trouble.ERRORS` lists. The threaded subscriber of the client library
costs about five threads a room; a streaming pull over grpc.aio costs none.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from google.api_core import exceptions
from google.pubsub_v1 import types

from adapters.google_trouble import Service
from adapters.pubsub_channels import SERVER, Channels
from adapters.pubsub_names import DELETED_TOPIC, subscription_path, topic_path
from adapters.pubsub_stream import ACK_DEADLINE_S, Received, streaming_pull

ADMIN_S = 5.0
"""The deadline of every call that makes, reads or deletes a topic or subscription."""
_EXPIRY = timedelta(days=1)  # the least Pub/Sub allows: what crashes leave behind is gone after it
_RETENTION = timedelta(minutes=10)  # the least Pub/Sub allows: nobody wants an old message
# Built below the wrappers of proto-plus, which would double the cost of publishing.
_Request = types.PublishRequest.pb()
_Message = types.PubsubMessage.pb()


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
        self._channels = Channels(emulator)

    async def publish(
        self, room_id: str, messages: Sequence[bytes], *, sender: str, timeout: float
    ) -> None:
        attributes = {"instance": sender}
        request = _Request(
            topic=topic_path(self.project, room_id),
            messages=[_Message(data=data, attributes=attributes) for data in messages],
        )
        await self._channels.connected()
        await self._channels.publisher.publish(
            types.PublishRequest.wrap(request), retry=None, timeout=timeout
        )

    async def create_topic(self, room_id: str) -> None:
        """Idempotent."""
        topic = types.Topic(name=topic_path(self.project, room_id), labels={"app": "vchat"})
        await self._channels.connected()
        with suppress(exceptions.AlreadyExists):
            await self._channels.publisher.create_topic(topic, retry=None, timeout=ADMIN_S)

    async def create_subscription(self, room_id: str, instance: str) -> None:
        """Raises NotFound without the topic, AlreadyExists when there is one of this name."""
        subscription = types.Subscription(
            name=subscription_path(self.project, room_id, instance),
            topic=topic_path(self.project, room_id),
            ack_deadline_seconds=ACK_DEADLINE_S,
            message_retention_duration=_RETENTION,
            expiration_policy=types.ExpirationPolicy(ttl=_EXPIRY),
            # The emulator takes filters but does not apply them, so the bus looks again.
            filter=f'attributes.instance != "{instance}"',
            labels={"app": "vchat", "instance": instance},
        )
        await self._channels.connected()
        await self._channels.subscriber.create_subscription(
            subscription, retry=None, timeout=ADMIN_S
        )

    async def attached(self, room_id: str, instance: str) -> bool:
        """Whether the subscription still hangs on its room's topic.

        One whose topic was deleted stays silent for ever, also when the topic is made again.
        """
        await self._channels.connected()
        name = subscription_path(self.project, room_id, instance)
        found = await self._channels.subscriber.get_subscription(
            subscription=name, retry=None, timeout=ADMIN_S
        )
        return bool(found.topic != DELETED_TOPIC)

    async def delete_subscription(self, path: str) -> None:
        """Idempotent."""
        await self._channels.connected()
        with suppress(exceptions.NotFound):
            await self._channels.subscriber.delete_subscription(
                subscription=path, retry=None, timeout=ADMIN_S
            )

    async def delete_topic(self, path: str) -> None:
        """Idempotent. Its subscriptions stay, cut off: delete them first."""
        await self._channels.connected()
        with suppress(exceptions.NotFound):
            await self._channels.publisher.delete_topic(topic=path, retry=None, timeout=ADMIN_S)

    async def topics(self) -> list[str]:
        """The paths of all topics of the project."""
        await self._channels.connected()
        request = types.ListTopicsRequest(project=f"projects/{self.project}", page_size=1000)
        pages = await self._channels.publisher.list_topics(request, retry=None, timeout=ADMIN_S)
        return [topic.name async for topic in pages]

    async def subscriptions(self) -> list[str]:
        """The paths of all subscriptions of the project."""
        await self._channels.connected()
        request = types.ListSubscriptionsRequest(project=f"projects/{self.project}", page_size=1000)
        pages = await self._channels.subscriber.list_subscriptions(
            request, retry=None, timeout=ADMIN_S
        )
        return [subscription.name async for subscription in pages]

    @asynccontextmanager
    async def pull(
        self, room_id: str, instance: str
    ) -> AsyncIterator[AsyncIterator[Iterator[Received]]]:
        """What comes in over the subscription, as `streaming_pull` says."""
        await self._channels.connected()
        path = subscription_path(self.project, room_id, instance)
        async with (
            self._channels.stream_client() as client,
            streaming_pull(client, path) as batches,
        ):
            yield batches

    async def close(self) -> None:
        await self._channels.close()
