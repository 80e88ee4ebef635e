"""A room's topic as one instance uses it: what it hears from the others, and tells them."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable

from relay.tally import Tally
from relay.tasks import Tasks
from vchat.bus import Bus
from vchat.bus_messages import BusMessage, decode, encode
from vchat.errors import Refused

log = logging.getLogger("vchat.relay")

_BACKLOG = 1000


class Topic:
    """Hands on what other instances say about a room, whatever it is, and publishes in order."""

    def __init__(
        self,
        room_id: str,
        *,
        bus: Bus,
        tasks: Tasks,
        tally: Tally,
        hear: Callable[[BusMessage], None],
        attached: Callable[[], None],
    ) -> None:
        """`hear` may raise ValueError for what is not ours; `attached` as in `Bus.listen`."""
        self._room_id = room_id
        self._bus = bus
        self._tasks = tasks
        self._tally = tally
        self._hear = hear
        self._attached = attached
        self._outbox: deque[bytes] = deque(maxlen=_BACKLOG)
        self._publisher: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self.dropped: Counter[str] = Counter()
        """How often something came that no instance of ours can have sent, by kind."""

    @property
    def heard(self) -> bool:
        """Whether this instance listens, or did."""
        return self._listening is not None

    def listen(self) -> None:
        """Begin to listen, once."""
        if self._listening is None:
            self._listening = self._tasks.start(self._listen(), f"listening to {self._room_id}")

    async def unsubscribe(self) -> None:
        """Give up the subscription ahead of all else; the log tells what it would have."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen(self) -> None:
        async with self._bus.listen(self._room_id, self._attached) as messages:
            async for message in messages:
                try:
                    self._hear(decode(message))
                except ValueError:
                    self.drop("a message that is not ours")
                except Exception as error:
                    # Whatever it is: there is no other listener for the messages after it.
                    self.drop("a message that breaks us", error)

    def drop(self, what: str, error: Exception | None = None) -> None:
        """Count what the bus should not have brought; the log hears of each kind once."""
        self.dropped[what] += 1
        self._tally.malformed += 1
        if self.dropped[what] == 1:
            log.warning("dropped %s, on the topic of %s", what, self._room_id, exc_info=error)

    def publish(self, message: BusMessage) -> None:
        """Tell the other instances, soon; what is too much, or cannot go out, is counted."""
        self._tally.unpublished += len(self._outbox) == _BACKLOG
        self._outbox.append(encode(message))
        if self._publisher is None or self._publisher.done():
            what = f"publishing to {self._room_id}"
            self._publisher = self._tasks.start(self._drain_outbox(), what)

    async def _drain_outbox(self) -> None:
        while self._outbox:
            message = self._outbox.popleft()
            try:
                await self._bus.publish(self._room_id, message)
            except Refused:
                # Events are in the log, where the others find them; poses are stale by now.
                self._tally.unpublished += 1
                log.info("a message to %s did not go out", self._room_id)
