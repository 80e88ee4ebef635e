"""What the janitor does when the scheduler wakes it: clear away what nobody will come back for."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from vchat import events
from vchat.model import Room, RoomStatus
from vchat.state import State
from vchat.store import Store
from vchat.times import rfc3339

_log = logging.getLogger("vchat.janitor")

_AT_ONCE = 10
_NEARLY_FULL = 0.8

SweepBus = Callable[[bool], Awaitable[dict[str, int]]]
"""Sweeps the bus, or with True only counts; what it found and did, by name."""


async def sweep(request: Request, store: Store, state: State, sweep_bus: SweepBus) -> Response:
    """Answer POST with a report; `?dryRun=true` only counts. Again does no harm."""
    if request.method != "POST":
        return JSONResponse({"detail": "POST sweeps."}, status_code=405, headers={"Allow": "POST"})
    dry_run = request.query_params.get("dryRun") == "true"
    now = int(time.time())
    expired = await store.expired_rooms(now=now)
    if not dry_run:
        await _end(expired, state, rfc3339(now))
    bus = await sweep_bus(dry_run)
    report: dict[str, Any] = {
        "dryRun": dry_run,
        "ended": len(expired),
        "bus": bus,
        "expired": await store.sweep(now=now, dry_run=dry_run),
    }
    _log.info("swept", extra=report)
    fullest = max(bus["topics"], bus["subscriptions"])
    if fullest >= _NEARLY_FULL * bus["most"]:
        _log.warning("Pub/Sub holds %d of at most %d topics or subscriptions", fullest, bus["most"])
    return JSONResponse(report)


async def _end(rooms: tuple[Room, ...], state: State, today: str) -> None:
    """Tell whoever is inside that the room's time is over, and let nobody in again.

    Relays find the event in the room's log when they next renew their seats.
    """
    waiting = list(rooms)
    while waiting:
        now, waiting = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
        over = [msgspec.structs.replace(r, status=RoomStatus.ENDED, ended_at=today) for r in now]
        await asyncio.gather(*(state.end_room(room, events.ended("expired")) for room in over))
