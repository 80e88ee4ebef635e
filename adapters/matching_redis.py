"""Those who wait to be matched, in Redis: one queue for all instances."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from adapters.redis_library import RedisError
from vchat import limits
from vchat.errors import Refused, Why
from vchat.matching import Match, Statistics, Waiter

if TYPE_CHECKING:
    from adapters.redis_library import Redis

_SCRIPT = (Path(__file__).parent / "matching_redis.lua").read_text()
_PREFIX = "vchat:{matching}:"
_DEADLINE_S = 2.0

_json = msgspec.json.encode
_waiter = msgspec.json.Decoder(Waiter).decode
_match = msgspec.json.Decoder(Match).decode


class RedisQueue:
    """vchat.matching.Queue over a redis.asyncio client. `clock` (ms) replaces the server's own."""

    def __init__(self, redis: "Redis", *, clock: Callable[[], int] | None = None) -> None:
        self._script = redis.register_script(_SCRIPT)
        self._clock = clock

    async def wait(self, waiter: Waiter, *, most_s: int) -> Match | int:
        lease_ms = limits.MATCH_LEASE_S * 1000
        card = _json(waiter)
        answer = _place(await self._run("wait", waiter.user_id, card, lease_ms, most_s * 1000))
        assert answer is not None, "who comes is there"
        return answer

    async def stay(self, user_id: str) -> Match | int | None:
        return _place(await self._run("stay", user_id, limits.MATCH_LEASE_S * 1000))

    async def waiter(self, user_id: str) -> Waiter | None:
        card = await self._run("waiter", user_id)
        return None if card is None else _waiter(card)

    async def waiting(self, limit: int) -> tuple[Waiter, ...]:
        return tuple(_waiter(card) for card in await self._run("waiting", limit))

    async def pair(self, host: Waiter, guest: Waiter, room_id: str) -> bool:
        of_host, of_guest = (
            _json(
                Match(
                    room_id=room_id,
                    host_id=host.user_id,
                    partner_id=partner.user_id,
                    partner_name=partner.name,
                )
            )
            for partner in (guest, host)
        )
        keep_ms = limits.MATCH_KEPT_S * 1000
        done = await self._run("pair", host.user_id, guest.user_id, of_host, of_guest, keep_ms)
        return bool(done)

    async def took(self, user_id: str) -> None:
        await self._run("took", user_id, limits.MATCH_LEASE_S * 1000)

    async def leave(self, user_id: str) -> None:
        await self._run("leave", user_id)

    async def statistics(self) -> Statistics:
        waiting, pairs, waited_ms = await self._run("statistics")
        return Statistics(waiting, pairs, waited_ms // (2 * pairs) if pairs else 0)

    async def _run(self, op: str, *args: str | bytes | int) -> Any:
        now = "" if self._clock is None else self._clock()
        try:
            async with asyncio.timeout(_DEADLINE_S):
                return await self._script(keys=[_PREFIX], args=[op, now, *args])
        except (RedisError, OSError, TimeoutError) as error:
            raise Refused(Why.UNAVAILABLE, retry_ms=1000) from error


def _place(answer: Any) -> Match | int | None:
    if isinstance(answer, bytes):
        return _match(answer)
    return None if answer is None else int(answer)
