"""Fixtures that several suites share."""

import gc
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from fakeredis import FakeAsyncRedis
from redis.asyncio import Redis

from adapters.state_redis import RedisState
from infra.tools.plan_check import Plan
from tests import terraform
from tests.emulators import Server, installed, running
from tests.make_cloud import Cloud, made_cloud
from tests.relays import close_sockets


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means: many tests wait, so more than two workers for a processor."""
    return min(8, (os.cpu_count() or 1) * 5 // 2)


_FIRST = (
    "emulators",
    "terraform",
    "test_faults.py",
    "test_bench.py",
    "test_openapi_any_call.py",
    "test_cloud.py",
    "test_drain.py",
    "test_relay.py",
    "test_console.py",
    "test_local.py",
    "test_hostile.py",
    "test_state.py",
    "test_start_checks.py",
    "test_limits.py",
    "test_fast_line.py",
    "test_hub_avatars.py",
    "test_gate.py",
    "test_functions_main.py",
    "test_lobby.py",
    "test_fuzz.py",
)
"""The groups that take longest come first, such as wait among such as do not: in the end no worker
is left alone with one."""


def _group(item: pytest.Item) -> str:
    """A file's tests share its fixtures; those that want the same emulator share that as well."""
    mark = item.get_closest_marker("xdist_group")
    return str(mark.args[0]) if mark else item.path.name


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    turn = {group: n for n, group in enumerate(_FIRST)}
    items.sort(key=lambda item: turn.get(_group(item), len(turn)))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))


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


@pytest.fixture(name="cloud")
def _cloud(tmp_path: Path) -> Iterator[Cloud]:
    """`make cloud` of one's own, to break."""
    for kind in ("pubsub", "firestore", "redis"):
        installed(kind)
    with made_cloud(tmp_path) as cloud:
        yield cloud


@pytest.fixture(scope="session", name="workspace")
def _workspace(tmp_path_factory: pytest.TempPathFactory) -> terraform.Workspace:
    return terraform.Workspace(tmp_path_factory.mktemp("terraform"))


@pytest.fixture(scope="session", name="plans")
def _plans(workspace: terraform.Workspace) -> dict[str, Plan]:
    return terraform.plans(workspace)


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
