"""Functions and two relays that share state and bus: people who sign in, meet and are moderated."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakeredis import FakeAsyncRedis
from starlette.applications import Starlette
from starlette.routing import Mount

from adapters.bus_memory import InProcessBus
from adapters.matching_redis import RedisQueue
from adapters.state_redis import RedisState
from adapters.store_sqlite import SqliteStore
from adapters.voice_livekit import LiveKit
from functions.app import build
from functions.services import Services
from tests.fakes.livekit import KEY, SECRET, FakeLiveKit
from tests.http_api import Api, Guest, serving
from tests.relays import ISSUER, RING, Browser, RunningRelay, running_relay


@dataclass
class Meeting:
    api: Api
    services: Services
    relays: tuple[RunningRelay, RunningRelay]
    livekit: FakeLiveKit

    async def ticket(self, room: str, guest: Guest) -> str:
        response = await guest.ticket(room)
        assert response.status_code == 201, response.text
        return str(response.json()["ticket"])

    async def join(self, room: str, guest: Guest, relay: int = 0) -> Browser:
        browser = await self.knock(room, relay, ticket=await self.ticket(room, guest))
        browser.welcome = await browser.text("welcome")
        return browser

    async def knock(self, room: str, relay: int, **hello) -> Browser:
        """Say hello, and leave the answer to be looked at."""
        browser = await self.relays[relay].open(room)
        await browser.send(type="hello", **hello)
        return browser


@pytest.fixture(name="meeting")
async def _meeting(tmp_path: Path) -> AsyncIterator[Meeting]:
    store = SqliteStore(tmp_path / "vchat.db")
    store._db.execute("PRAGMA synchronous = OFF")
    redis, bus, livekit = FakeAsyncRedis(), InProcessBus(), FakeLiveKit()
    state, queue = RedisState(redis), RedisQueue(redis)
    async with (
        running_relay(state, bus, queue=queue) as one,
        running_relay(state, bus, queue=queue) as two,
        serving(livekit.app()) as voice_url,
    ):
        services = Services(
            store=store,
            state=state,
            bus=bus.instance("functions"),
            keys=RING,
            issuer=ISSUER,
            relay_urls=(one.url, two.url),
            voice=LiveKit(voice_url, KEY, SECRET),
            queue=queue,
        )
        app = Starlette(routes=[Mount("/api", app=build(services))])
        async with serving(app) as base:
            api = Api(f"{base}/api")
            yield Meeting(api, services, (one, two), livekit)
            await api.close()
        await services.voice.close()
    await store.close()
    await redis.aclose()
