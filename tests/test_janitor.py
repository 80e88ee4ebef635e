"""The janitor as it is deployed: a process of its own, with none of the API's secrets."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from fakeredis import FakeAsyncRedis
from redis.asyncio import Redis
from starlette.requests import Request

from adapters import store_firestore
from adapters.bus_pubsub import PubSubBus
from adapters.state_redis import RedisState
from adapters.store_firestore import FirestoreStore
from adapters.store_sqlite import SqliteStore
from functions.janitor import sweep
from tests.components import free_port
from tests.emulators import Server
from tests.processes import ROOT, environment
from tests.relays import new_room
from tests.test_state import guest
from vchat.errors import Refused, Why
from vchat.model import Room

pytestmark = pytest.mark.xdist_group("emulators")


@contextmanager
def janitor(log: Path, **settings: str) -> Iterator[str]:
    """functions-framework with the janitor as its target; yields its URL."""
    port = free_port()
    with log.open("w") as out:
        process = subprocess.Popen(
            [
                Path(sys.executable).parent / "functions-framework",
                *("--source", "functions/main.py", "--host", "127.0.0.1", "--port", str(port)),
            ],
            cwd=ROOT,
            env=environment(FUNCTION_TARGET="janitor", VCHAT_ENV="development", **settings),
            stdout=out,
            stderr=out,
        )
        try:
            url = f"http://127.0.0.1:{port}/"
            end = time.monotonic() + 60
            while True:
                try:
                    httpx.get(url)
                    break
                except httpx.TransportError:
                    assert process.poll() is None, log.read_text()
                    assert time.monotonic() < end, log.read_text()
                    time.sleep(0.05)
            yield url
        finally:
            process.terminate()
            process.wait(20)


async def left_behind(http: httpx.AsyncClient, pubsub: Server, room_id: str) -> None:
    """What a relay that crashed in a room left in Pub/Sub, made over its REST interface."""
    base = f"http://{pubsub.address}/v1/"
    topic = f"projects/janitor-test/topics/vchat-room-{room_id}"
    subscription = f"projects/janitor-test/subscriptions/vchat-room-{room_id}--crashed"
    for path, body in ((topic, {}), (subscription, {"topic": topic})):
        answer = await http.put(base + path, json=body)
        assert answer.status_code == 200, answer.text


@dataclass
class Chores:
    """What the janitor sweeps, in this process; any of it may be made to fail."""

    store: SqliteStore
    state: RedisState
    room: Room
    other: Room
    bus: dict[str, int] = field(
        default_factory=lambda: {"topics": 9, "subscriptions": 9, "most": 10}
    )

    async def sweep(self) -> tuple[int, dict]:
        async def sweep_bus(dry_run: bool) -> dict[str, int]:
            if not self.bus:
                raise Refused(Why.UNAVAILABLE)
            return self.bus

        request = Request({"type": "http", "method": "POST", "query_string": b"", "headers": []})
        answer = await sweep(request, self.store, self.state, sweep_bus)
        return answer.status_code, json.loads(answer.body)


@pytest.fixture(name="chores")
async def _chores(tmp_path) -> AsyncIterator[Chores]:
    over = {"expires_at": "2026-01-01T00:00:00Z"}
    chores = Chores(
        SqliteStore(tmp_path / "vchat.db"),
        RedisState(FakeAsyncRedis()),
        new_room(**over),
        new_room(**over),
    )
    for room in (chores.room, chores.other):
        await chores.store.add_room(room)
    yield chores
    await chores.store.close()


async def broken(*_, **__):
    raise Refused(Why.UNAVAILABLE)


async def test_a_bus_that_is_away_stops_nothing_else_and_is_named(chores, caplog):
    chores.bus = {}
    status, report = await chores.sweep()
    assert (status, report["failures"], report["bus"]) == (500, ["bus"], None)
    assert report["ended"] == report["expired"]["rooms"] == 2
    assert "bus" in caplog.text
    chores.bus = {"topics": 1, "subscriptions": 1, "most": 10}
    status, report = await chores.sweep()
    assert (status, report["failures"], report["ended"]) == (200, [], 0)


async def test_a_store_that_is_away_keeps_nobody_from_sweeping_the_bus(chores, monkeypatch, caplog):
    monkeypatch.setattr(chores.store, "expired_rooms", broken)
    monkeypatch.setattr(chores.store, "sweep", broken)
    status, report = await chores.sweep()
    assert (status, report["failures"]) == (500, ["ended", "expired"])
    assert report["bus"] == chores.bus
    assert "Pub/Sub holds 9 of at most 10" in caplog.text


async def test_a_room_whose_people_could_not_be_told_stays_for_the_next_sweep(chores, monkeypatch):
    end = chores.state.end_room

    async def sometimes(room: Room, body: bytes):
        if room.id == chores.room.id:
            await broken()
        return await end(room, body)

    monkeypatch.setattr(chores.state, "end_room", sometimes)
    status, report = await chores.sweep()
    assert (status, report["failures"], report["bus"]) == (500, ["ended"], chores.bus)
    assert report["expired"]["rooms"] == 0
    assert await chores.state.head(chores.other.id) is not None
    monkeypatch.undo()
    status, report = await chores.sweep()
    assert (status, report["ended"], report["expired"]["rooms"]) == (200, 2, 2)


async def test_one_sweep_clears_what_a_crash_left_and_ends_what_is_over(
    tmp_path, pubsub, firestore, redis_port, monkeypatch
):
    pubsub.reset()
    redis = Redis(host="127.0.0.1", port=redis_port)
    await redis.flushall()
    state = RedisState(redis)
    settings = {
        "REDIS_URL": f"redis://127.0.0.1:{redis_port}",
        "GOOGLE_CLOUD_PROJECT": "janitor-test",
        "PUBSUB_EMULATOR_HOST": pubsub.address,
        "FIRESTORE_EMULATOR_HOST": firestore.address,
    }
    alive, deserted = new_room(), new_room()
    await state.show_room(alive)
    await state.sit(alive.id, guest("aya"), session="s", instance="living", relay="r", resume=False)
    old = new_room(expires_at="2026-01-01T00:00:00Z")
    await state.show_room(old)
    seated = await state.sit(
        old.id, guest("aya"), session="s", instance="i", relay="r", resume=False
    )
    before = seated.head
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore.address)
    monkeypatch.setattr(store_firestore, "DEADLINE_S", 60)  # the emulator has just begun to warm up
    store = FirestoreStore("janitor-test")
    await store.add_room(old)
    await store.close()
    living = PubSubBus("janitor-test", instance="living", emulator=pubsub.address)
    async with living.listen(alive.id):
        while living.gauges.subscriptions < 1:  # noqa: ASYNC110 - counted, not announced
            await asyncio.sleep(0.02)
        with janitor(tmp_path / "janitor.log", **settings) as url:
            async with httpx.AsyncClient(timeout=60) as http:
                await left_behind(http, pubsub, deserted.id)
                reports = []
                for query in ({"dryRun": "true"}, {}, {}):
                    await state.renew(alive.id, "living", {}, hosting=True)
                    reports.append((await http.post(url, params=query)).json())
                assert (await http.get(url)).status_code == 405

    planned, done, again = reports
    assert planned["dryRun"] is True
    assert planned["expired"]["rooms"] == 1
    last = (await state.read(old.id, before, 10))[-1]
    assert json.loads(last.body) == {"type": "ended", "reason": "expired"}
    with pytest.raises(Refused) as refused:
        await state.sit(old.id, guest("ben"), session="b", instance="i", relay="r", resume=False)
    assert refused.value.why is Why.ROOM_ENDED
    assert (planned["bus"]["orphans"], planned["bus"]["deleted_subscriptions"]) == (1, 0)
    assert (done["bus"]["deleted_subscriptions"], done["bus"]["deleted_topics"]) == (1, 1)
    assert [one["ended"] for one in reports] == [1, 1, 0]
    assert done["expired"] == {"rooms": 1, "invites": 0, "families": 0}
    assert (again["bus"]["subscriptions"], again["bus"]["orphans"]) == (1, 0)
    await living.close()
    await redis.aclose()
