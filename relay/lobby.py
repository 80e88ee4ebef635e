"""The lobby: a socket that keeps one's place in the matching queue and tells of the match.

The browser says `hello` with a lobby ticket. It hears `waiting` while it waits, then `matched` or
`unmatched`, and the socket closes. Being connected is what keeps the place; the ticket to the room
comes from the API, which knows the room.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from starlette.websockets import WebSocket, WebSocketDisconnect

from relay.gate import Knock
from vchat import inbound, limits, outbound, tokens
from vchat.errors import Refused, Why
from vchat.inbound import Hello
from vchat.matching import Match, Queue
from vchat.state import State

log = logging.getLogger("vchat.relay")

_LOOK_S = 1.0
_SEND_S = 5.0
_encode = msgspec.json.encode


class Lobby:
    """Talks with those who wait, one `attend` for each."""

    def __init__(
        self,
        queue: Queue,
        state: State,
        *,
        issuer: str,
        keys: Callable[[], Mapping[str, Ed25519PublicKey]],
        clock: Callable[[], float],
    ) -> None:
        self._queue = queue
        self._state = state
        self._issuer = issuer
        self._keys = keys
        self._clock = clock

    async def attend(self, socket: WebSocket, knock: Knock, refusal: Refused | None) -> None:
        """Talk over an accepted socket until the match, the end of waiting, or the browser's own.

        With `refusal` the browser only hears why it must go.
        """
        try:
            if refusal is not None:
                raise refusal
            user_id = await self._judge(await self._hello(socket))
            knock.known(user_id)
            knock.let_in()
            await self._wait(socket, user_id)
            await _close(socket, 1000, "left")
        except Refused as refused:
            why = refused.why if refused.why.value.close else Why.INTERNAL
            with suppress(WebSocketDisconnect, OSError, TimeoutError, RuntimeError):
                await _say(socket, outbound.bye(why, refused.retry_ms))
            await _close(socket, why.value.close or 1011, why.value.code)
        except (WebSocketDisconnect, OSError, TimeoutError):
            pass  # the browser is gone, or no longer reads; its place ends by itself

    async def _hello(self, socket: WebSocket) -> str:
        try:
            async with asyncio.timeout(limits.HELLO_S):
                frame = await socket.receive()
        except TimeoutError as error:
            raise Refused(Why.NO_HELLO) from error
        if frame["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        text = frame.get("text") or ""
        message = inbound.parse(text) if len(text) <= limits.FRAME_BYTES else None
        if not isinstance(message, Hello) or message.ticket is None:
            raise Refused(Why.NO_HELLO)
        return message.ticket

    async def _judge(self, ticket: str) -> str:
        try:
            claims = tokens.verify(
                tokens.LOBBY, ticket, issuer=self._issuer, keys=self._keys(), now=self._clock()
            )
        except tokens.TokenExpired as error:
            raise Refused(Why.TICKET_EXPIRED) from error
        except tokens.TokenError as error:
            raise Refused(Why.BAD_TOKEN) from error
        life_s = tokens.LOBBY.life_s + 2 * limits.CLOCK_LEEWAY_S
        if not await self._state.burn(claims["jti"], life_s):
            raise Refused(Why.TICKET_USED)
        return str(claims["sub"])

    async def _wait(self, socket: WebSocket, user_id: str) -> None:
        gone = asyncio.create_task(_until_gone(socket))
        try:
            while not gone.done():
                place = await self._queue.stay(user_id)
                if isinstance(place, int):
                    numbers = await self._queue.statistics()
                    told: dict[str, object] = {
                        "type": "waiting",
                        "waitedMs": place,
                        "waiting": numbers.waiting,
                        "averageWaitMs": numbers.average_wait_ms,
                    }
                else:
                    told = _ended(place)
                await _say(socket, _encode(told))
                if not isinstance(place, int):
                    return
                await asyncio.wait({gone}, timeout=_LOOK_S)
            if gone.result() == Why.NO_PONG.value.close:
                raise Refused(Why.NO_PONG)
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)


def _ended(match: Match | None) -> dict[str, object]:
    if match is None:
        return {"type": "unmatched"}
    return {
        "type": "matched",
        "roomId": match.room_id,
        "partner": {"userId": match.partner_id, "name": match.partner_name},
    }


async def _until_gone(socket: WebSocket) -> int | None:
    """How it ended: as no-pong also when only the server takes the browser for gone."""
    # What a browser says meanwhile means nothing here; reading it is how its going is noticed.
    while (frame := await socket.receive())["type"] != "websocket.disconnect":
        pass
    return frame.get("code")


async def _say(socket: WebSocket, frame: bytes) -> None:
    async with asyncio.timeout(_SEND_S):
        await socket.send_text(frame.decode())


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    with suppress(WebSocketDisconnect, OSError, TimeoutError, RuntimeError):
        async with asyncio.timeout(_SEND_S):
            await socket.close(code, reason)
