"""All rooms with somebody in them, and the relay instances that hold them, out of Redis."""

from collections import Counter
from dataclasses import dataclass

from redis.asyncio import Redis

from adapters.state_redis import RedisState, occupied_rooms


@dataclass(frozen=True, slots=True)
class RoomNow:
    """A room with seats taken. `relays` counts people by their relay, `instances` are at work."""

    room_id: str
    people: int
    away: int
    head: int
    relays: dict[str, int]
    instances: frozenset[str]


async def census(redis: Redis) -> list[RoomNow]:
    """Every such room now, the fullest first. Raises Refused when Redis does not answer."""
    state = RedisState(redis)
    found = []
    async for room_id in occupied_rooms(redis):
        members = await state.members(room_id)
        head = await state.head(room_id)
        found.append(
            RoomNow(
                room_id,
                people=len(members),
                away=sum(member.away for member in members),
                head=head.offset if head else 0,
                relays=dict(Counter(member.relay for member in members)),
                instances=await state.hosts(room_id),
            )
        )
    return sorted(found, key=lambda room: (-room.people, room.room_id))
