"""Copies a room's log while it grows: what was stored, also when it is later trimmed or flushed."""

import asyncio

from vchat.errors import Refused
from vchat.state import Position, State

_READ = 500
_PAUSE_S = 0.5


class Scribe:
    """`logs` holds each epoch's events as frames, by offset; `at` is where the newest log stood."""

    def __init__(self, state: State, room_id: str) -> None:
        self._state = state
        self._room_id = room_id
        self.logs: dict[str, dict[int, str]] = {}
        self.at = Position("", 0)

    async def write_for_ever(self) -> None:
        while True:
            try:
                await self.catch_up()
            except Refused:  # Redis is away
                await asyncio.sleep(_PAUSE_S)
            await asyncio.sleep(_PAUSE_S)

    async def catch_up(self) -> None:
        """Copy what is new. Raises Refused."""
        head = await self._state.head(self._room_id)
        if head is None:
            return
        log = self.logs.setdefault(head.epoch, {})
        while (at := max(log, default=0)) < head.offset:
            found = await self._state.read(self._room_id, Position(head.epoch, at), _READ)
            if not found:
                return  # flushed in between
            log.update({event.offset: event.frame().decode() for event in found})
        self.at = Position(head.epoch, max(log, default=0))
