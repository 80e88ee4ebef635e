"""How a relay's process serves and ends: on a signal everybody is sent on before the sockets go."""

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from relay.accepting import accept_from
from relay.fast_line import UVICORN, FastProtocol, fits
from relay.strict_http import StrictHttp
from vchat import limits

log = logging.getLogger("vchat.relay")

DRAIN_S = 8.0
"""What a relay takes to move its people; Cloud Run kills ten seconds after SIGTERM."""
MESSAGE_BYTES = 64 * 1024
"""What the WebSocket layer takes at most. Ours is lower, and says so before it closes."""


class _Server(uvicorn.Server):
    """uvicorn closes every socket with 1012 at once when told to exit; this one drains first."""

    def __init__(self, config: uvicorn.Config, drain: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._drain = drain
        self._draining: asyncio.Task[None] | None = None
        self._accepting: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if not fits():
            await super().startup(sockets)
            return
        await super().startup([])
        self._accepting = [
            asyncio.create_task(accept_from(listener, self._protocol), name="accepting")
            for listener in sockets or []
        ]

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._draining is None:
            self._draining = asyncio.create_task(self._leave())
        else:
            self.force_exit = True  # asked twice: now

    async def _leave(self) -> None:
        try:
            await self._drain()
        finally:
            self.should_exit = True


def config(app: ASGIApp, *, fast: bool = True, **changes: Any) -> uvicorn.Config:
    """How a relay is served: no compression, no pings but ours, no log of its own. `fast` takes
    what is made for this uvicorn; without it, or under another uvicorn, its own parts do, which
    know fewer deadlines."""
    if fast and not fits():
        log.warning("this is not uvicorn %s: relaying goes on, at more cost", UVICORN)
        fast = False
    options: dict[str, Any] = {
        "log_config": None,
        "access_log": False,
        "http": StrictHttp if fast else "h11",
        "ws": FastProtocol if fast else "websockets-sansio",
        "ws_max_size": MESSAGE_BYTES,
        # Not for rooms: their pings are messages, which a page can see.
        "ws_ping_interval": limits.PING_MS / 1000 if fast else None,
        "ws_ping_timeout": limits.PONG_S,
        "ws_per_message_deflate": False,
        "lifespan": "off",
        "timeout_graceful_shutdown": 2,
        "server_header": False,
        # uvicorn would believe X-Forwarded-For from neighbours; vchat.caller knows whom to believe.
        "proxy_headers": False,
    }
    return uvicorn.Config(app, **{**options, **changes})


async def serve(
    app: ASGIApp, listener: socket.socket, drain: Callable[[], Awaitable[None]]
) -> None:
    """Serve on a bound socket until SIGINT or SIGTERM, then drain and end."""
    await _Server(config(app), drain).serve([listener])


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 lets the system choose. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named: asyncio sends small frames at once only on sockets that say TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener
