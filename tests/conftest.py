"""Fixtures that several suites share."""

import gc
import os
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from fakeredis import FakeAsyncRedis
from redis.asyncio import Redis

from adapters.state_redis import RedisState
from tests.components import need
from tests.emulators import Server, running
from tests.relays import close_sockets

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext

    from tests.visitors import Arrive


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means: many tests wait, so two workers for a processor."""
    return min(4, (os.cpu_count() or 1) * 2)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
        # A file's tests share its fixtures; those that want the same emulator share that as well.
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.name))


def pytest_collection_finish() -> None:
    gc.freeze()  # what is loaded stays, and is half a second's look for every collection


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


@pytest.fixture(scope="session", name="pubsub")
def _pubsub() -> Iterator[Server]:
    yield from running("pubsub")


@pytest.fixture(scope="session", name="firestore")
def _firestore() -> Iterator[Server]:
    yield from running("firestore")


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


@pytest_asyncio.fixture(scope="session", loop_scope="session", name="chromium")
async def _chromium() -> AsyncIterator["Browser"]:
    """One browser for the whole run; its tests are in its loop, `asyncio(loop_scope="session")`."""
    from playwright.async_api import async_playwright  # slow to import, and few tests need it

    path = need("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session", name="profiles")
async def _profiles(chromium: "Browser") -> AsyncIterator[dict[str, "BrowserContext"]]:
    """What is kept in the browser for those who draw alike, and with it the page's own files."""
    kept: dict[str, BrowserContext] = {}
    yield kept
    for profile in kept.values():
        await profile.close()


@pytest_asyncio.fixture(loop_scope="session", name="arrive")
async def _arrive(
    chromium: "Browser", profiles: dict[str, "BrowserContext"]
) -> AsyncIterator["Arrive"]:
    """Lets people arrive; in the end nobody's page may have failed."""
    from tests.visitors import Visitor, forget, new_profile

    visitors: list[Visitor] = []
    own: list[BrowserContext] = []

    async def arrive(drawing: str = "none", *, apart: bool = False, **settings: Any) -> Visitor:
        if apart or settings:
            profile = await new_profile(chromium, drawing, **settings)
            own.append(profile)
        else:
            profile = profiles.get(drawing) or await new_profile(chromium, drawing)
            profiles[drawing] = profile
        visitors.append(await Visitor.at(profile))
        return visitors[-1]

    yield arrive
    for profile in own:
        await profile.close()
    for profile in profiles.values():
        await forget(profile)
    assert [visitor.errors for visitor in visitors] == [[] for _ in visitors]
