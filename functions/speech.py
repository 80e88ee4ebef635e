"""What happens in a room, told to its voice call as well.

The voice server being away fails no request: voice tokens end within minutes, none is given to who
may not have it, and whoever joins is looked at again.
"""

import logging
from collections.abc import Awaitable

from functions.services import Services
from functions.voice import forget_caller
from vchat.errors import Refused
from vchat.policy import Role
from vchat.voice import may_speak

_log = logging.getLogger("vchat.voice")


async def let_speak(
    services: Services, room_id: str, user_id: str, role: Role, *, muted: bool
) -> None:
    if services.voice is not None:
        speak = may_speak(role, muted=muted)
        await _try(services.voice.let_speak(room_id, user_id, speak=speak), room_id, user_id)


async def hang_up(services: Services, room_id: str, user_id: str) -> bool:
    """Put someone out of the call, and let them back only with a new token. Whether they might
    have been there without a seat."""
    if services.voice is None:
        return False
    # In this order, or they could join again in between.
    called = await forget_caller(services, room_id, user_id)
    await _try(services.voice.remove(room_id, user_id), room_id, user_id)
    return called


async def hang_up_all(services: Services, room_id: str) -> None:
    if services.voice is not None:
        await _try(services.voice.end(room_id), room_id, None)


async def _try(call: Awaitable[None], room_id: str, user_id: str | None) -> None:
    try:
        await call
    except Refused as refused:
        extra = {"room": room_id, "user": user_id, "reason": str(refused)}
        _log.warning("voice call not told", extra=extra)
