"""The shared state inside this process, for a server with no services: fakeredis, kept tidy."""

import asyncio

from adapters.redis_library import Redis

SWEEP_S = 30.0


def embedded_redis() -> Redis:
    """A server of one's own, empty, that ends with the process."""
    from fakeredis import FakeAsyncRedis  # only after redis-py was loaded in our way

    return FakeAsyncRedis()


async def forget_expired(redis: Redis) -> None:
    """Free for ever what has expired.

    A Redis server does that by itself; fakeredis only looks at a key when somebody asks for it, and
    nobody asks again for a used ticket or the id of an old message. Counting all keys sweeps.
    """
    while True:
        await asyncio.sleep(SWEEP_S)
        await redis.dbsize()
