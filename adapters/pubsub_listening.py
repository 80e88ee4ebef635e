"""One instance's subscription to one room: made, pulled from, repaired, and deleted at the end."""

import asyncio
import logging
import time
from collections.abc import Callable

from google.api_core import exceptions

from adapters.backoff import Backoff
from adapters.bus_inbox import MESSAGE_BYTES, Inbox
from adapters.complaints import Complaints
from adapters.google_trouble import ERRORS, Trouble, trouble
from adapters.pubsub_names import subscription_path
from adapters.pubsub_stream import Received
from adapters.pubsub_wire import Wire
from vchat.gauges import BusGauges

_log = logging.getLogger("vchat.bus")
_RETRY_S = (0.05, 5.0)
_SELDOM_S = 30.0
_MAKING = (
    "pubsub.topics.create, pubsub.topics.attachSubscription, pubsub.subscriptions.create "
    "and pubsub.subscriptions.get"
)
_FOREIGN = (
    "Something other than V-Chat publishes on its topics, vchat-room-…: its messages are dropped."
)
_PULLING = "pubsub.subscriptions.consume"
_LEAVE_S = 4.0
"""Within Cloud Run's ten seconds between SIGTERM and the end."""


class Listening:
    """Delivers a room's messages to `inboxes` from `start` until `leave`."""

    def __init__(
        self, wire: Wire, room_id: str, instance: str, gauges: BusGauges, complaints: Complaints
    ) -> None:
        self.inboxes: dict[Inbox, Callable[[], None]] = {}
        self.heard = False
        """Set by every message; whoever watches for silence clears it."""
        self._wire = wire
        self._room_id = room_id
        self._instance = instance
        self._path = subscription_path(wire.project, room_id, instance)
        self._gauges = gauges
        self._complaints = complaints
        self._backoff = Backoff(*_RETRY_S)
        self._made = False
        self._making = False
        self._leaving = False
        self._pulling: asyncio.Timeout | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, after: asyncio.Task[None] | None) -> None:
        """`after` is what still deletes an earlier subscription of the same name."""
        self._task = asyncio.create_task(self._run(after))

    def add(self, inbox: Inbox, attached: Callable[[], None]) -> None:
        """Deliver to one more; `attached` is called whenever messages begin to come."""
        self.inboxes[inbox] = attached
        if self._made:
            attached()

    def reattach(self) -> None:
        """The topic is gone: make it and the subscription again."""
        if self._pulling is not None and not self._pulling.expired():
            self._pulling.reschedule(asyncio.get_running_loop().time())

    async def check(self) -> None:
        """Find out whether the topic was deleted, of which a stream says nothing."""
        if self._pulling is None:
            return
        try:
            attached = await self._wire.attached(self._room_id, self._instance)
        except ERRORS as error:
            attached = trouble(error) is not Trouble.GONE
            if trouble(error) is Trouble.LASTING:
                self._complain(error, "pubsub.subscriptions.get")
        if not attached:
            self.reattach()

    async def leave(self) -> None:
        """Stop, and delete the subscription."""
        self._leaving = True
        assert self._task is not None, "start comes first"
        if not self._making:  # a subscription whose making is cut short might appear after all
            self._task.cancel()
        await asyncio.wait({self._task}, timeout=_LEAVE_S / 2)
        self._task.cancel()
        await asyncio.wait({self._task})
        try:
            async with asyncio.timeout(_LEAVE_S / 2):
                await self._wire.delete_subscription(self._path)
        except ERRORS as error:
            self._gauges.orphans += 1
            self._complain(error, "pubsub.subscriptions.delete")
        self._set_made(False)

    async def _run(self, after: asyncio.Task[None] | None) -> None:
        if after is not None:
            await asyncio.wait({after})
        while not self._leaving:
            try:
                if not self._made:
                    await self._make()
                else:
                    await self._pull()
                    await self._pause(None)
            except ERRORS as error:
                await self._pause(error)

    async def _make(self) -> None:
        self._making = True
        try:
            for _ in range(3):  # no topic; then one of the same name, cut off; then a new one
                if await self._made_or_cleared():
                    self._set_made(True)
                    return
        finally:
            self._making = False
        raise TimeoutError("somebody deletes this subscription as fast as we make it")

    async def _made_or_cleared(self) -> bool:
        wire, room_id, instance = self._wire, self._room_id, self._instance
        try:
            await wire.create_subscription(room_id, instance)
        except exceptions.NotFound as error:
            if trouble(error) is not Trouble.GONE:
                raise
            await wire.create_topic(room_id)
            return False
        except exceptions.AlreadyExists:
            if await wire.attached(room_id, instance):
                return True
            await wire.delete_subscription(self._path)
            return False
        return True

    async def _pull(self) -> None:
        try:
            async with (
                asyncio.timeout(None) as self._pulling,
                self._wire.pull(self._room_id, self._instance) as batches,
            ):
                async for batch in batches:
                    self._backoff.reset()
                    self.heard = True
                    for message in batch:
                        self._deliver(message)
        except TimeoutError:
            self._lost()
        finally:
            self._pulling = None

    def _deliver(self, message: Received) -> None:
        gauges = self._gauges
        if message.sender == self._instance:
            gauges.own += 1
            return
        if not message.sender or not 0 < len(message.data) <= MESSAGE_BYTES:
            gauges.malformed += 1
            self._complaints.say(_FOREIGN)
            return
        gauges.received += 1
        gauges.lag_ms = (time.time() - message.at) * 1000
        for inbox in self.inboxes:
            if not inbox.put(message.data):
                gauges.dropped += 1

    async def _pause(self, error: BaseException | None) -> None:
        """After a call failed, or a stream ended, which servers do for many reasons."""
        what = Trouble.PASSING if error is None else trouble(error)
        wait = self._backoff.next()
        if what is Trouble.GONE:
            self._lost()
        elif what is Trouble.LASTING and error is not None:
            self._complain(error, _PULLING if self._made else _MAKING)
            wait += _SELDOM_S
        else:
            self._gauges.reconnects += 1
            _log.info("Room %s: trying the bus again after %r", self._room_id, error)
        if not self._leaving:
            await asyncio.sleep(wait)

    def _lost(self) -> None:
        self._gauges.reattached += 1
        self._set_made(False)

    def _set_made(self, made: bool) -> None:
        if made != self._made:
            self._made = made
            self._gauges.subscriptions += 1 if made else -1
            self._gauges.topics += 1 if made else -1
            for attached in self.inboxes.values() if made else ():
                attached()

    def _complain(self, error: BaseException, permission: str) -> None:
        self._complaints.say(self._wire.service.sentence(error, permission))
