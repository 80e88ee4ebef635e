"""The bus inside one process: every instance in it hears the others, without any server."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from adapters.bus_inbox import CAPACITY, Inbox, checked
from vchat.bus import Bus
from vchat.gauges import BusGauges


class InProcessBus:
    """What the instances of one process share; give each of them its own `instance`."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._rooms: dict[str, list[tuple[str, Inbox]]] = {}
        self.gauges = BusGauges()

    def instance(self, name: str) -> Bus:
        """The bus as one relay or function sees it: it does not hear what it says itself."""
        return _Instance(self, name)

    def send(self, sender: str, room_id: str, message: bytes) -> None:
        self.gauges.sent += 1
        for name, inbox in self._rooms.get(room_id, ()):
            if name != sender:
                self.gauges.received += 1
                self.gauges.dropped += not inbox.put(message)

    def enter(self, name: str, room_id: str) -> Inbox:
        inbox = Inbox(self._capacity)
        self._rooms.setdefault(room_id, []).append((name, inbox))
        return inbox

    def leave(self, room_id: str, inbox: Inbox) -> None:
        rest = [entry for entry in self._rooms.pop(room_id) if entry[1] is not inbox]
        if rest:
            self._rooms[room_id] = rest

    def end(self, name: str) -> None:
        for entries in self._rooms.values():
            for listener, inbox in entries:
                if listener == name:
                    inbox.close()

    def rooms(self) -> frozenset[str]:
        """The rooms that anyone listens to right now."""
        return frozenset(self._rooms)


class _Instance:
    def __init__(self, shared: InProcessBus, name: str) -> None:
        self._shared = shared
        self._name = name
        self.gauges = shared.gauges

    async def publish(self, room_id: str, message: bytes) -> None:
        self._shared.send(self._name, room_id, checked(message))

    @asynccontextmanager
    async def listen(
        self, room_id: str, attached: Callable[[], None] = lambda: None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        inbox = self._shared.enter(self._name, room_id)
        try:
            attached()
            yield inbox
        finally:
            self._shared.leave(room_id, inbox)

    async def check(self) -> str | None:
        return None

    async def close(self) -> None:
        self._shared.end(self._name)
