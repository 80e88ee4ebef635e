"""Rooms by their ids; who asks for many that are not there is guessing, and has to wait."""

import logging

from functions.services import Services
from vchat import limits
from vchat.errors import Refused, Why
from vchat.ids import is_room_id
from vchat.model import Room

_log = logging.getLogger("vchat.rates")


async def find_room(services: Services, room_id: str, who: str) -> Room:
    """The room of this id, for an account or else an address. Raises Refused(ROOM_NOT_FOUND), or
    TOO_FAST for who guessed too often: also for rooms that are there, or the limit would tell them
    apart. An address is many people's, so of these only who did not sign in is held to it."""
    await _require_no_guessing(services, who)
    room = await services.store.room(room_id) if is_room_id(room_id) else None
    if room is None:
        await _count_miss(services, who)
        raise Refused(Why.ROOM_NOT_FOUND)
    return room


async def _require_no_guessing(services: Services, who: str) -> None:
    try:
        pausing = await services.state.note(_pause(who)) is not None
    except Refused:  # away: people come before limits
        return
    if pausing:
        raise Refused(Why.TOO_FAST, retry_ms=limits.GUESSING_PAUSE_S * 1000)


async def _count_miss(services: Services, who: str) -> None:
    try:
        if await services.state.spend(f"room-miss:{who}", limits.ROOM_MISSES):
            await services.state.put_note(_pause(who), b"", limits.GUESSING_PAUSE_S)
    except Refused as refused:
        extra = {"what": "room-miss", "reason": str(refused)}
        _log.warning("rate not checked", extra=extra)


def _pause(who: str) -> str:
    return f"guessing:{who}"
