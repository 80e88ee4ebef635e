"""Owned tasks: whoever starts work keeps it, hears of its failure, and ends it."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger("vchat.relay")


class Tasks:
    """The background work of one owner. A failure is logged; `cancel` ends all and waits."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], what: str) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name=what)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed", task.get_name(), exc_info=error)

    async def finish(self, seconds: float) -> None:
        """Wait for all to end by themselves, and cancel what has not by then."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)
        await self.cancel()

    async def cancel(self) -> None:
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
