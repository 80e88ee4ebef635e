"""The shared volatile state in Redis: every step on a room is one call of one Lua script.

With a fakeredis client the same script runs inside the process, for a server with no services.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from adapters.complaints import Complaints
from adapters.redis_library import (
    AsyncScript,
    AuthenticationError,
    BlockingConnectionPool,
    NoPermissionError,
    Redis,
    RedisError,
)
from vchat import limits
from vchat.errors import Refused, Why
from vchat.events import Event, member_card
from vchat.gauges import StateGauges
from vchat.ids import new_id
from vchat.limits import Rate
from vchat.model import Member, Room, RoomStatus
from vchat.state import Appended, Guest, Position, Reason, Renewal, Resumable, Seated

_DEADLINE_S = 2.0
_CONNECTIONS = 32
"""The others wait in turn. A plain pool would refuse whoever comes in a crowd."""
_RETRY_MS = 1000
_KICK_COOL_OFF_S = limits.TICKET_S + limits.CLOCK_LEEWAY_S
_WHY = {why.value.code: why for why in Why}
_SCRIPT = (Path(__file__).parent / "state_redis.lua").read_text()
for _name, _number in {
    "LOG_EVENTS": limits.LOG_EVENTS,
    "HISTORY": limits.HISTORY,
    "KEEP_MS": limits.LOG_S * 1000,
    "LOST_MS": limits.RESUME_S * 1000,
    "COOL_OFF_MS": _KICK_COOL_OFF_S * 1000,
}.items():
    _SCRIPT = _SCRIPT.replace(f"@{_name}@", str(_number))

T = TypeVar("T")
_member = msgspec.json.Decoder(Member).decode
_room = msgspec.json.Decoder(Room).decode
_resumable = msgspec.json.Decoder(Resumable).decode


def connect(url: str) -> "Redis":
    """A client for a Redis URL (redis:// or rediss://); it connects when first used."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=_DEADLINE_S,
        socket_connect_timeout=1.0,
        socket_timeout=_DEADLINE_S,
        health_check_interval=30,
    )
    return Redis.from_pool(pool)


async def occupied_rooms(redis: "Redis") -> AsyncIterator[str]:
    """The ids of all rooms in which a seat is taken, for operators: it walks through all keys."""
    before, after = (part.encode() for part in f"{_room_key('*')}members".split("*"))
    async for key in redis.scan_iter(match=before + b"*" + after, count=1000):
        yield key.removeprefix(before).removesuffix(after).decode()


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _events(rows: Sequence[Sequence[Any]]) -> tuple[Event, ...]:
    return tuple(Event(int(offset), int(time), body) for offset, time, body in rows)


def _known(position: Position | None) -> tuple[str, int]:
    return ("", 0) if position is None else (position.epoch, position.offset)


def _seated_member(seat: bytes, card: bytes) -> Member:
    return _member(b'{"seat":%b,%b' % (seat, card[1:]))


class RedisState:
    """vchat.state.State over a redis.asyncio client.

    The clock is the Redis server's own, so relays whose clocks differ agree; `clock` (ms) replaces
    it where a test turns the time.
    """

    def __init__(self, redis: "Redis", *, clock: Callable[[], int] | None = None) -> None:
        self.gauges = StateGauges()
        self._redis = redis
        self._clock = clock
        self._script: AsyncScript = redis.register_script(_SCRIPT)
        self._complaints = Complaints()

    async def _reach(self, call: Awaitable[T]) -> T:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(_DEADLINE_S):
                return await call
        except (RedisError, OSError, TimeoutError) as error:
            self.gauges.failed += 1
            self._complaints.say(_sentence(self._redis, error))
            raise Refused(Why.UNAVAILABLE, retry_ms=_RETRY_MS) from error
        finally:
            self.gauges.took(time.perf_counter() - began)

    def _run(self, key: str, op: str, *args: str | bytes | int, client: Any = None) -> Any:
        now = "" if self._clock is None else self._clock()
        return self._script(keys=[key], args=[op, now, new_id(), *args], client=client)

    async def _room_step(self, room_id: str, op: str, *args: str | bytes | int) -> Any:
        answer = await self._reach(self._run(_room_key(room_id), op, *args))
        if isinstance(answer, list) and answer and answer[0] == b"refused":
            raise Refused(_WHY[answer[1].decode()])
        return answer

    async def _logged(self, room_id: str, op: str, *args: str | bytes | int) -> Any:
        answer = await self._room_step(room_id, op, *args)
        if len(answer) == 1:
            return None
        (event,) = _events(answer[2])[-1:]
        return Position(answer[1].decode(), event.offset), event

    # Rooms

    async def show_room(self, room: Room) -> None:
        await self._room_step(room.id, "show", *_shown(room))

    async def change_room(self, room: Room, body: bytes) -> tuple[Position, Event] | None:
        logged: tuple[Position, Event] | None = await self._logged(
            room.id, "change", body, *_shown(room)
        )
        return logged

    async def end_room(self, room: Room, body: bytes) -> tuple[Position, Event]:
        logged: tuple[Position, Event] = await self._logged(room.id, "close", body, *_shown(room))
        return logged

    async def occupancy(self, room_ids: Sequence[str]) -> dict[str, int]:
        if not room_ids:
            return {}
        pipe = self._redis.pipeline(transaction=False)
        for room_id in room_ids:
            await self._run(_room_key(room_id), "count", client=pipe)
        counts = await self._reach(pipe.execute())
        return dict(zip(room_ids, counts, strict=True))

    async def members(self, room_id: str) -> tuple[Member, ...]:
        return tuple(_member(one) for one in await self._room_step(room_id, "members"))

    # Seats

    async def sit(
        self,
        room_id: str,
        guest: Guest,
        *,
        session: str,
        instance: str,
        relay: str,
        resume: bool,
        history: bool = True,
    ) -> Seated:
        card = member_card(
            Member(
                seat=0,
                user_id=guest.user_id,
                name=guest.name,
                role=guest.role,
                avatar=guest.avatar,
                muted=guest.muted,
                relay=relay,
            )
        )
        (
            _,
            epoch,
            head,
            seat,
            generation,
            room,
            members,
            chats,
            added,
            replaced,
            mine,
        ) = await self._room_step(
            room_id,
            "sit",
            guest.user_id,
            session,
            instance,
            card,
            int(guest.admitted),
            int(resume),
            _ms(limits.LEASE_S),
            guest.ticket_s,
            int(history),
        )
        return Seated(
            me=_seated_member(seat, mine),
            generation=int(generation),
            head=Position(epoch.decode(), int(head)),
            room=_room(room),
            members=tuple(members),
            history=_events([line.split(b"|", 2) for line in chats]),
            events=_events(added),
            replaced=replaced.decode() or None,
        )

    async def lose(self, room_id: str, user_id: str, generation: int) -> None:
        await self._room_step(room_id, "lose", user_id, generation, _ms(limits.SEAT_HOLD_S))

    async def doze(
        self, room_id: str, user_id: str, generation: int, away_s: int
    ) -> tuple[Position, Event] | None:
        logged: tuple[Position, Event] | None = await self._logged(
            room_id, "doze", user_id, generation, _ms(away_s)
        )
        return logged

    async def leave(
        self, room_id: str, user_id: str, generation: int | None, reason: Reason
    ) -> tuple[Position, Event] | None:
        logged: tuple[Position, Event] | None = await self._logged(
            room_id, "leave", user_id, "" if generation is None else generation, reason.value
        )
        return logged

    async def amend(
        self, room_id: str, user_id: str, changes: Mapping[str, Any]
    ) -> tuple[Position, Event] | None:
        logged: tuple[Position, Event] | None = await self._logged(
            room_id, "amend", user_id, msgspec.json.encode(changes)
        )
        return logged

    async def renew(
        self,
        room_id: str,
        instance: str,
        seats: Mapping[str, int],
        *,
        hosting: bool,
        known: Position | None = None,
    ) -> Renewal:
        pairs = [part for seat in seats.items() for part in seat]
        (_, epoch, head, gone, added, others, next_ms) = await self._room_step(
            room_id, "renew", *_known(known), instance, _ms(limits.LEASE_S), int(hosting), *pairs
        )
        return Renewal(
            head=Position(epoch.decode(), int(head)),
            gone=tuple(user.decode() for user in gone),
            events=_events(added),
            others=others > 0,
            next_s=None if next_ms < 0 else next_ms / 1000,
        )

    async def hosts(self, room_id: str) -> frozenset[str]:
        found = await self._room_step(room_id, "hosts")
        return frozenset(instance.decode() for instance in found)

    # Events

    async def append(
        self,
        room_id: str,
        user_id: str,
        message_id: str,
        body: bytes,
        *,
        chat: bool,
        known: Position | None = None,
    ) -> Appended:
        (_, epoch, offset, time, fresh) = await self._room_step(
            room_id,
            "append",
            *_known(known),
            user_id,
            message_id,
            _ms(limits.DEDUPE_S),
            body,
            int(chat),
        )
        return Appended(Position(epoch.decode(), int(offset)), int(time), fresh == 1)

    async def read(self, room_id: str, after: Position, limit: int) -> tuple[Event, ...] | None:
        answer = await self._room_step(room_id, "read", after.epoch, after.offset, limit)
        return None if answer[0] == b"gone" else _events(answer[1])

    async def head(self, room_id: str) -> Position | None:
        answer = await self._room_step(room_id, "head")
        return None if answer[0] == b"gone" else Position(answer[1].decode(), int(answer[2]))

    # Tokens

    async def burn(self, jti: str, life_s: int) -> bool:
        used = self._redis.set(f"vchat:ticket:{jti}", b"", nx=True, ex=life_s)
        return await self._reach(used) is not None

    async def save_resume(self, token_hash: str, what: Resumable) -> None:
        value = msgspec.json.encode(what)
        life_s = what.away_s + limits.RESUME_S
        await self._reach(self._redis.set(_resume_key(token_hash), value, ex=life_s))

    async def find_resume(self, token_hash: str) -> Resumable | None:
        value = await self._reach(self._redis.get(_resume_key(token_hash)))
        return None if value is None else _resumable(value)

    async def retire_resume(self, token_hash: str) -> None:
        key = _resume_key(token_hash)
        first = self._redis.set(f"{key}:used", b"", nx=True, ex=limits.RESUME_GRACE_S)
        if await self._reach(first):
            await self._reach(self._redis.expire(key, limits.RESUME_GRACE_S, lt=True))
        else:
            await self._reach(self._redis.delete(key))

    async def keep_resumes(self, token_hashes: Sequence[str]) -> None:
        if not token_hashes:
            return
        pipe = self._redis.pipeline(transaction=False)
        for token_hash in token_hashes:
            pipe.expire(_resume_key(token_hash), limits.RESUME_S)
        await self._reach(pipe.execute())

    # Notes

    async def put_note(self, name: str, value: bytes, life_s: int) -> None:
        await self._reach(self._redis.set(_note_key(name), value, ex=life_s))

    async def note(self, name: str) -> bytes | None:
        call: Awaitable[Any] = self._redis.get(_note_key(name))
        found: bytes | None = await self._reach(call)
        return found

    async def take_note(self, name: str) -> bytes | None:
        call: Awaitable[Any] = self._redis.getdel(_note_key(name))
        found: bytes | None = await self._reach(call)
        return found

    # Where people are

    async def remember_visit(self, user_id: str, room_id: str) -> None:
        pipe = self._redis.pipeline(transaction=True)
        pipe.sadd(_visits_key(user_id), room_id)
        pipe.expire(_visits_key(user_id), limits.VISIT_S)
        await self._reach(pipe.execute())

    async def visits(self, user_id: str) -> tuple[str, ...]:
        call: Awaitable[Any] = self._redis.smembers(_visits_key(user_id))
        found: set[bytes] = await self._reach(call)
        return tuple(sorted(room_id.decode() for room_id in found))

    # Bans and rates

    async def ban(self, room_id: str, user_id: str, until_ms: int | None) -> None:
        await self._room_step(room_id, "ban", user_id, until_ms or 0)

    async def unban(self, room_id: str, user_id: str) -> None:
        await self._room_step(room_id, "unban", user_id)

    async def barred(self, room_id: str, user_id: str) -> Why | None:
        code: bytes = await self._room_step(room_id, "barred", user_id)
        return _WHY[code.decode()] if code else None

    async def spend(self, what: str, rate: Rate) -> int:
        answer = self._run(f"vchat:rate:{what}", "spend", rate.burst, str(rate.per_s))
        return int(await self._reach(answer))

    async def close(self) -> None:
        await self._redis.aclose()


def _sentence(redis: "Redis", error: BaseException) -> str:
    """What the operator should know; never the URL, which has the password in it."""
    settings = redis.connection_pool.connection_kwargs
    where = f"{settings.get('host')}:{settings.get('port')}"
    if isinstance(error, (AuthenticationError, NoPermissionError)):
        return f"Redis at {where} refuses us ({error}): see the user and password in REDIS_URL."
    kind = type(error).__name__
    return f"Redis at {where} does not answer ({kind}): see that REDIS_URL is right and it runs."


def _room_key(room_id: str) -> str:
    return f"vchat:{{{room_id}}}:"


def _note_key(name: str) -> str:
    return f"vchat:note:{name}"


def _visits_key(user_id: str) -> str:
    return f"vchat:visits:{user_id}"


def _resume_key(token_hash: str) -> str:
    return f"vchat:resume:{token_hash}"


def _shown(room: Room) -> tuple[bytes, int, int, int, int]:
    ended = room.status is RoomStatus.ENDED
    return msgspec.json.encode(room), room.capacity, int(room.locked), int(ended), room.revision
