"""A uvicorn that ends as soon as it can: its own looks whether it may ten times a second, and rests
a tenth of one before it goes, in each of a thousand tests."""

import asyncio
import socket
from contextlib import suppress

import uvicorn


class BriefServer(uvicorn.Server):
    """Serves from `begin` to `end`, which promises what uvicorn's shutdown does."""

    async def begin(self, listener: socket.socket) -> None:
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup([listener])
        await self.on_tick(0)  # the headers of every answer

    async def end(self) -> None:
        for server in self.servers:
            server.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while state.connections or state.tasks:  # noqa: ASYNC110 (nobody tells)
                    await asyncio.sleep(0.001)
        for task in state.tasks:
            task.cancel()
