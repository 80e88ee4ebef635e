"""HTTP under uvicorn, with an end to patience: for a request's head, its size, and unread answers.

uvicorn waits for ever for a head, however long it grows, and for ever for a browser to read. A few
connections that send or read a byte now and then would each hold memory and a descriptor.
"""

import asyncio
import logging
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from vchat import limits

_QUIET = logging.getLogger("vchat.relay.http")
"""What strangers get wrong is theirs to read, in the answer; a line for each would fill the log."""
_QUIET.setLevel(logging.ERROR)
_REQUEST_BYTES = 1024 * 1024
"""All bytes of one request, however cut into chunks; a body may have far less."""
_PIPELINED = 4
"""Requests of one connection that wait for the answer before theirs. Browsers and proxies send none
ahead; uvicorn would take in all that fit into one read, thousands."""
_LOOKS = 4
"""How often a deadline is looked at while it runs; it may be overrun by one part."""


class StrictHttp(HttpToolsProtocol):
    """uvicorn's HTTP protocol; connections that upgrade to WebSocket leave it."""

    _timer: asyncio.TimerHandle | None = None
    _waiting_since: float | None
    """Since when a head is awaited; None while a request is being answered."""
    _stalled_since: float | None = None
    """Since when nothing could be written, or the connection is only waiting to be closed."""
    _in_head = False
    _size = 0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = _QUIET

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waiting_since = self.loop.time()
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_looking()

    def handle_websocket_upgrade(self) -> None:
        self._stop_looking()
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._size += len(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._size > limits.HEAD_BYTES:
            self._refuse(431)
        elif self._size > _REQUEST_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= _PIPELINED:
            raise httptools.HttpParserError("too many requests at once")  # answered with a 400
        super().on_message_begin()
        self._in_head, self._size = True, 0

    def on_headers_complete(self) -> None:
        self._in_head, self._waiting_since = False, None
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        if not self.pipeline:  # else the next head is here already
            self._waiting_since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled_since = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stalled_since = None

    def _look(self) -> None:
        now = self.loop.time()
        if self._stalled_since is None and self.transport.is_closing():
            # What is unread keeps a closed connection open for as long as its peer likes.
            self._stalled_since = now
        if self._stalled_since is not None and now - self._stalled_since >= limits.STALL_S:
            self.transport.abort()
        elif self._waiting_since is not None and now - self._waiting_since >= limits.HEAD_S:
            self._refuse(408)
        self._look_later()

    def _refuse(self, status: int) -> None:
        if self._in_head and self._waiting_since is not None:
            ends = b"connection: close\r\ncontent-length: 0\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + ends)
        self._waiting_since = None
        self.transport.close()

    def _look_later(self) -> None:
        wait_s = min(limits.HEAD_S, limits.STALL_S) / _LOOKS
        self._timer = self.loop.call_later(wait_s, self._look)

    def _stop_looking(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
