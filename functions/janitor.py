"""What the janitor does when the scheduler wakes it: clear away what nobody will come back for."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from vchat.store import Store

_log = logging.getLogger("vchat.janitor")

SweepBus = Callable[[bool], Awaitable[dict[str, int]]]
"""Sweeps the bus, or with True only counts; what it found and did, by name."""


async def sweep(request: Request, store: Store, sweep_bus: SweepBus) -> Response:
    """Answer POST with a report; `?dryRun=true` only counts. Again does no harm."""
    if request.method != "POST":
        return JSONResponse({"detail": "POST sweeps."}, status_code=405, headers={"Allow": "POST"})
    dry_run = request.query_params.get("dryRun") == "true"
    report: dict[str, Any] = {
        "dryRun": dry_run,
        "bus": await sweep_bus(dry_run),
        "expired": await store.sweep(now=int(time.time()), dry_run=dry_run),
    }
    _log.info("swept", extra=report)
    return JSONResponse(report)
