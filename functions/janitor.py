"""What the janitor does when the scheduler wakes it: clear away what nobody will come back for."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

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

T = TypeVar("T")
SweepBus = Callable[[bool], Awaitable[dict[str, int]]]
"""Sweeps the bus, or with True only counts; what it found and did, by name."""


async def sweep(request: Request, store: Store, state: State, sweep_bus: SweepBus) -> Response:
    """Answer POST with a report; `?dryRun=true` only counts. Again does no harm. What fails stops
    nothing else: it is named in the report, which then is answered with 500."""
    if request.method != "POST":
        return JSONResponse({"detail": "POST sweeps."}, status_code=405, headers={"Allow": "POST"})
    dry_run = request.query_params.get("dryRun") == "true"
    now = int(time.time())
    failures: list[str] = []

    async def attempt(part: str, work: Awaitable[T]) -> T | None:
        try:
            return await work
        except Exception:
            _log.exception("could not sweep: %s", part)
            failures.append(part)
            return None

    ended = await attempt("ended", _end(store, state, now, dry_run))
    bus = await attempt("bus", sweep_bus(dry_run))
    # A room that is gone from the store could not be ended any more.
    sweeping = store.sweep(now=now, dry_run=dry_run, keep_rooms=ended is None)
    expired = await attempt("expired", sweeping)
    report: dict[str, Any] = {
        "dryRun": dry_run,
        "ended": ended,
        "bus": bus,
        "expired": expired,
        "failures": failures,
    }
    _log.info("swept", extra=report)
    if bus and (fullest := max(bus["topics"], bus["subscriptions"])) >= _NEARLY_FULL * bus["most"]:
        _log.warning("Pub/Sub holds %d of at most %d topics or subscriptions", fullest, bus["most"])
    return JSONResponse(report, 500 if failures else 200)


async def _end(store: Store, state: State, now: int, dry_run: bool) -> int:
    """Tell whoever is inside that a room's time is over, and let nobody in again; how many rooms
    these are. Raises what it met, once all have been tried.

    Relays find the event in the room's log when they next renew their seats.
    """
    rooms = await store.expired_rooms(now=now)
    met: list[BaseException] = []
    waiting = [] if dry_run else list(rooms)
    while waiting:
        some, waiting = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
        ending = [state.end_room(_over(room, now), events.ended("expired")) for room in some]
        outcomes = await asyncio.gather(*ending, return_exceptions=True)
        met += [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    if met:
        raise met[0]
    return len(rooms)


def _over(room: Room, now: int) -> Room:
    return msgspec.structs.replace(room, status=RoomStatus.ENDED, ended_at=rfc3339(now))
