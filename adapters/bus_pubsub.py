"""The bus over Google Cloud Pub/Sub: one topic per room, one subscription per room and instance."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from adapters.bus_inbox import CAPACITY, Inbox, checked
from adapters.complaints import Complaints
from adapters.google_trouble import ERRORS, Trouble, trouble
from adapters.pubsub_listening import Listening
from adapters.pubsub_names import checked_instance, topic_path
from adapters.pubsub_outbox import Outbox
from adapters.pubsub_wire import Wire
from vchat.errors import Refused, Why
from vchat.gauges import BusGauges
from vchat.ids import new_room_id

PUBLISH_S = 3.0
"""The deadline of one publish, second try included; a message waits for at most one before it."""
_AGAIN_S = 0.05
CHECK_S = 60.0
"""How often a silent room's subscription is looked at, in case its topic was deleted."""
CLOSE_S = 5.0


class PubSubBus:
    """One instance's place on the bus. Topics are made when someone listens, never on publishing.

    `instance` is this process's own fresh name: what crashed under another name is the janitor's.
    """

    def __init__(
        self,
        project: str,
        *,
        instance: str,
        emulator: str | None = None,
        capacity: int = CAPACITY,
        check_s: float = CHECK_S,
    ) -> None:
        self.gauges = BusGauges()
        self._wire = Wire(project, emulator=emulator)
        self._instance = checked_instance(instance)
        self._capacity = capacity
        self._check_s = check_s
        self._complaints = Complaints()
        self._outboxes: dict[str, Outbox] = {}
        self._rooms: dict[str, Listening] = {}
        self._leaving: dict[str, asyncio.Task[None]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._closed = False

    async def check(self) -> str | None:
        """Whether messages can be sent: None, or one sentence for the operator about the cause."""
        try:
            await self._wire.publish(
                new_room_id(), [b"?"], sender=self._instance, timeout=PUBLISH_S
            )
        except ERRORS as error:
            if trouble(error) is not Trouble.GONE:  # a room that nobody is in has no topic
                return self._wire.service.sentence(error, "pubsub.topics.publish")
        return None

    async def publish(self, room_id: str, message: bytes) -> None:
        # Both raise for what can never be sent, before anything waits for it.
        topic_path(self._wire.project, room_id)
        checked(message)
        self._refuse_when_closed()
        outbox = self._outboxes.get(room_id)
        if outbox is None:
            outbox = self._outboxes[room_id] = Outbox(
                lambda messages: self._send(room_id, messages),
                lambda: self._sent_all(room_id),
            )
        try:
            await outbox.put(message)
        except Refused:
            self.gauges.refused += 1
            raise

    @asynccontextmanager
    async def listen(
        self, room_id: str, attached: Callable[[], None] = lambda: None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        topic_path(self._wire.project, room_id)
        self._refuse_when_closed()
        inbox = Inbox(self._capacity)
        listening = self._rooms.get(room_id)
        if listening is None:
            listening = self._rooms[room_id] = Listening(
                self._wire, room_id, self._instance, self.gauges, self._complaints
            )
            listening.start(self._leaving.get(room_id))
        listening.add(inbox, attached)
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        try:
            yield inbox
        finally:
            listening.inboxes.pop(inbox, None)
            if not listening.inboxes and self._rooms.get(room_id) is listening:
                await asyncio.shield(self._leave(room_id))

    async def close(self) -> None:
        """Delete every subscription, first of all; then refuse what waits, and disconnect."""
        if self._closed:
            return
        self._closed = True
        for listening in self._rooms.values():
            for inbox in listening.inboxes:
                inbox.close()
        for room_id in list(self._rooms):
            self._leave(room_id)
        if self._leaving:
            _, late = await asyncio.wait(self._leaving.values(), timeout=CLOSE_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        for outbox in list(self._outboxes.values()):
            await outbox.close()
        await self._wire.close()

    def _leave(self, room_id: str) -> asyncio.Task[None]:
        # A task of ours: the deletion goes on when whoever listened is cancelled.
        task = asyncio.create_task(self._rooms.pop(room_id).leave())
        self._leaving[room_id] = task
        task.add_done_callback(lambda done: self._left(room_id, done))
        return task

    def _left(self, room_id: str, task: asyncio.Task[None]) -> None:
        if self._leaving.get(room_id) is task:
            del self._leaving[room_id]

    def _sent_all(self, room_id: str) -> None:
        del self._outboxes[room_id]

    async def _send(self, room_id: str, messages: Sequence[bytes]) -> None:
        try:
            async with asyncio.timeout(PUBLISH_S):
                await self._publish(room_id, messages)
        except ERRORS as error:
            if trouble(error) is Trouble.GONE:
                self.gauges.unheard += len(messages)
                if (listening := self._rooms.get(room_id)) is not None:
                    listening.reattach()
                return
            self._complaints.say(self._wire.service.sentence(error, "pubsub.topics.publish"))
            raise Refused(Why.UNAVAILABLE, "The bus is away.", retry_ms=1000) from error
        self.gauges.sent += len(messages)

    async def _publish(self, room_id: str, messages: Sequence[bytes]) -> None:
        call = partial(
            self._wire.publish, room_id, messages, sender=self._instance, timeout=PUBLISH_S
        )
        try:
            await call()
        except ERRORS as error:
            if trouble(error) is not Trouble.PASSING:
                raise
            # An instance that was frozen between requests finds its connection dead, once.
            await asyncio.sleep(_AGAIN_S)
            await call()

    async def _watch(self) -> None:
        """Look at one room after the other, so that the whole round takes `check_s`."""
        while True:
            rooms = list(self._rooms.values())
            random.shuffle(rooms)
            if not rooms:
                await asyncio.sleep(self._check_s)
            for listening in rooms:
                await asyncio.sleep(self._check_s / len(rooms))
                if not listening.heard:
                    await listening.check()
                listening.heard = False

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise Refused(Why.UNAVAILABLE, "The bus is closed.")
