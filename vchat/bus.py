"""The port between relay instances, and from functions to relays: one topic per room."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from vchat.gauges import BusGauges


class Bus(Protocol):
    """Carries messages to every instance that listens to a room.

    Delivery is at least once and unordered: a message may come twice, late, or after a newer one,
    and none that was published before `attached` was called need come. A listener that falls
    `capacity` messages behind loses the oldest ones, never the bus; whoever needs them all finds
    the gap by offset and reads the room's log. An instance does not hear itself.
    """

    @property
    def gauges(self) -> BusGauges: ...

    async def publish(self, room_id: str, message: bytes) -> None:
        """Send to every other instance that listens. Nobody listening is no error.

        Raises Refused(UNAVAILABLE) when the bus cannot be reached within its deadline.
        """

    def listen(
        self, room_id: str, attached: Callable[[], None] = lambda: None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Listen to a room while inside the block; leaving it removes all that was made for it.

        Entering returns at once: the subscription may begin to deliver a little later. `attached`
        is called when it does, and again when it was lost meanwhile and has been made anew.
        """

    async def check(self) -> str | None:
        """Whether messages can be sent: None, or one sentence for the operator about the cause."""

    async def close(self) -> None: ...
