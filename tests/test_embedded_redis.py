"""The state inside one process does not grow with what has expired."""

import asyncio

import pytest
from fakeredis import FakeAsyncRedis, FakeServer

from adapters import embedded_redis
from adapters.state_redis import RedisState


async def test_what_expired_and_nobody_asks_for_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_redis, "SWEEP_S", 0.01)
    server = FakeServer()
    redis = FakeAsyncRedis(server=server)
    state = RedisState(redis)
    assert await state.burn("kept", 60)
    for number in range(100):
        await redis.set(f"vchat:ticket:{number}", b"", px=1)
    held = server.dbs[0]._dict
    assert len(held) == 101
    sweeping = asyncio.create_task(embedded_redis.forget_expired(redis))
    async with asyncio.timeout(5):
        while len(held) > 1:  # noqa: ASYNC110 - freed, not announced
            await asyncio.sleep(0.01)
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)
    assert not await state.burn("kept", 60)
    await redis.aclose()
