"""Clears what crashed relays left in Pub/Sub, long before its own expiry after a day does."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass

from adapters.complaints import Complaints
from adapters.google_trouble import ERRORS
from adapters.pubsub_names import room_and_instance_of, room_of, subscription_path, topic_path
from adapters.pubsub_wire import Wire

MOST = 10_000
"""Topics, and subscriptions, that a project may have; Google raises neither."""
_AT_ONCE = 10
_DELETE = "pubsub.subscriptions.delete and pubsub.topics.delete"
_LIST = "pubsub.subscriptions.list and pubsub.topics.list"

Hosts = Callable[[str], Awaitable[Set[str]]]
"""The live instances that host a room. Must be true at the time of asking: what it does not name
is deleted. Whatever it raises ends the sweep."""


@dataclass(slots=True)
class Sweep:
    """What a sweep found and did. `topics` and `subscriptions` are all of the project, before."""

    topics: int = 0
    subscriptions: int = 0
    most: int = MOST
    orphans: int = 0
    """Subscriptions of instances that do not host their room."""
    empty: int = 0
    """Topics of rooms that nobody hosts."""
    deleted_subscriptions: int = 0
    deleted_topics: int = 0
    failed: int = 0
    put_off: int = 0
    """Rooms there was no time for; the next sweep comes to them."""


class PubSubJanitor:
    """Idempotent, and safe beside relays at work: they take a lease before they make anything."""

    def __init__(self, project: str, *, emulator: str | None = None) -> None:
        self._wire = Wire(project, emulator=emulator)
        self._complaints = Complaints()

    async def sweep(self, hosts: Hosts, *, seconds: float = 240, dry_run: bool = False) -> Sweep:
        """Delete orphans and empty topics for about `seconds`; with `dry_run` only count them.

        Raises what `google_trouble.ERRORS` lists when the lists cannot be read.
        """
        end = time.monotonic() + seconds
        try:
            subscriptions = await self._wire.subscriptions()
            topics = await self._wire.topics()
        except ERRORS as error:
            self._complaints.say(self._wire.service.sentence(error, _LIST))
            raise
        done = Sweep(topics=len(topics), subscriptions=len(subscriptions))
        rooms: dict[str, dict[str, str]] = {
            room: {} for topic in topics if (room := room_of(topic))
        }
        with_topic = frozenset(rooms)
        for path in subscriptions:
            if (ours := room_and_instance_of(path)) is not None:
                room_id, instance = ours
                rooms.setdefault(room_id, {})[instance] = path
        waiting = list(rooms)
        while waiting and time.monotonic() < end:
            now, waiting = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
            await asyncio.gather(
                *(
                    self._room(room, rooms[room], room in with_topic, hosts, dry_run, done)
                    for room in now
                )
            )
        done.put_off = len(waiting)
        return done

    async def close(self) -> None:
        await self._wire.close()

    async def _room(
        self,
        room_id: str,
        subscriptions: dict[str, str],
        has_topic: bool,
        hosts: Hosts,
        dry_run: bool,
        done: Sweep,
    ) -> None:
        alive = await hosts(room_id)
        orphans = [path for instance, path in subscriptions.items() if instance not in alive]
        empty = has_topic and not alive
        done.orphans += len(orphans)
        done.empty += empty
        if dry_run:
            return
        try:
            for path in orphans:
                await self._wire.delete_subscription(path)
                done.deleted_subscriptions += 1
            if empty:  # after its subscriptions, which would stay behind cut off
                await self._wire.delete_topic(topic_path(self._wire.project, room_id))
                done.deleted_topics += 1
                # Who came in between hangs on the deleted topic and would hear nothing more,
                # without a word from the server. Losing the subscription is heard, and mended.
                for instance in await hosts(room_id):
                    path = subscription_path(self._wire.project, room_id, instance)
                    await self._wire.delete_subscription(path)
        except ERRORS as error:
            done.failed += 1
            self._complaints.say(self._wire.service.sentence(error, _DELETE))
