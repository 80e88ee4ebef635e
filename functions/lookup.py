"""Rooms by their ids; who asks for many that are not there is guessing, and has to wait."""

import logging

from functions.services import Services
from vchat import limits
from vchat.errors import Refused, Why
from vchat.ids import is_room_id
from vchat.model import Room

_log = logging.getLogger("vchat.rates")


async def find_room(services: Services, room_id: str, address: str) -> Room:
    """The room of this id. Raises Refused(ROOM_NOT_FOUND), or TOO_FAST for an address that
    guessed too often: also for rooms that are there, or the limit would tell them apart."""
    await _require_no_guessing(services, address)
    room = await services.store.room(room_id) if is_room_id(room_id) else None
    if room is None:
        await _count_miss(services, address)
        raise Refused(Why.ROOM_NOT_FOUND)
    return room


async def _require_no_guessing(services: Services, address: str) -> None:
    try:
        pausing = await services.state.note(_pause(address)) is not None
    except Refused:  # away: people come before limits
        return
    if pausing:
        raise Refused(Why.TOO_FAST, retry_ms=limits.GUESSING_PAUSE_S * 1000)


async def _count_miss(services: Services, address: str) -> None:
    try:
        if await services.state.spend(f"room-miss:{address}", limits.ROOM_MISSES):
            await services.state.put_note(_pause(address), b"", limits.GUESSING_PAUSE_S)
    except Refused as refused:
        extra = {"what": "room-miss", "reason": str(refused)}
        _log.warning("rate not checked", extra=extra)


def _pause(address: str) -> str:
    return f"guessing:{address}"
