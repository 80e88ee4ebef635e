"""Fixtures that several suites share."""

from collections.abc import AsyncIterator, Iterator

import pytest
from fakeredis import FakeAsyncRedis
from redis.asyncio import Redis

from adapters.state_redis import RedisState
from tests.emulators import running
from tests.relays import close_sockets


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")


class ManualClock:
    """Milliseconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += round(seconds * 1000)


@pytest.fixture(scope="session", name="redis_port")
def _redis_port() -> Iterator[int]:
    for server in running("redis"):
        yield server.port


@pytest.fixture(name="clock")
def _clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["fakeredis", "redis-server"], name="redis")
async def _redis(request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    if request.param == "fakeredis":
        client = FakeAsyncRedis()
    else:
        client = Redis(host="127.0.0.1", port=request.getfixturevalue("redis_port"))
        await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture(name="state")
def _state(redis: Redis, clock: ManualClock) -> RedisState:
    return RedisState(redis, clock=clock)


@pytest.fixture(autouse=True)
async def _no_socket_outlives_its_test() -> AsyncIterator[None]:
    yield
    await close_sockets()
