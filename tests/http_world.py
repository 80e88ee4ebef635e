"""The API with all it stands on, served in both ways that people will meet it."""

import logging
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakeredis import FakeAsyncRedis
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from adapters.bus_memory import InProcessBus
from adapters.state_redis import RedisState
from adapters.store_sqlite import SqliteStore
from functions.app import build
from functions.services import Services
from tests.conftest import ManualClock
from tests.http_api import Api, Guest, serving
from vchat.bus import Bus
from vchat.keys import new_ring
from vchat.policy import Role
from vchat.state import Guest as Seater
from vchat.tokens import Ticket, read_ticket

ISSUER = "http://localhost:8080/api"
PAGE = "http://localhost:3000"
RELAYS = ("ws://relay-0.test", "ws://relay-1.test", "ws://relay-2.test")
MAIN = Path(__file__).parents[1] / "functions" / "main.py"


@dataclass(frozen=True)
class World:
    """`relay` is the bus as a relay hears it."""

    api: Api
    services: Services
    clock: ManualClock
    relay: Bus

    async def guest(self, name: str = "さくら") -> Guest:
        return await self.api.guest(name)

    async def sit(self, room: str, guest: Guest, role: Role = Role.MEMBER) -> None:
        """Seat someone as a relay does."""
        await self.services.state.sit(
            room,
            Seater(user_id=guest.id, name="x", role=role, avatar=None, admitted=True),
            session=f"s-{guest.id}",
            instance="relay",
            relay="relay",
            resume=False,
        )

    async def seat(self, room: str, *guests: Guest) -> None:
        """Let people get tickets and seats."""
        for guest in guests:
            response = await guest.ticket(room)
            assert response.status_code == 201, response.text
            await self.sit(room, guest)

    async def inside(self, room: str) -> dict[str, Role]:
        members = await self.services.state.members(room)
        return {member.user_id: member.role for member in members}

    def opened(self, ticket: str, room: str) -> Ticket:
        """A ticket as a relay verifies it."""
        return read_ticket(
            ticket,
            room,
            issuer=ISSUER,
            keys=self.services.keys.public,
            now=self.services.clock(),
        )


def environment(folder: Path, **more: str) -> dict[str, str]:
    """What `functions/main.py` needs to start on a desk."""
    return {
        "VCHAT_ENV": "development",
        "VCHAT_ISSUER": ISSUER,
        "VCHAT_ORIGINS": PAGE,
        "VCHAT_RELAY_URLS": ",".join(RELAYS),
        "VCHAT_DATA": str(folder),
        **more,
    }


def framework_app(target: str, services: Services, monkeypatch, folder: Path) -> ASGIApp:
    """A target as functions-framework loads it, with our services in place of its own."""
    import functions_framework.aio  # brings all of Flask, and few tests come here

    for name, value in environment(folder).items():
        monkeypatch.setenv(name, value)
    for name in ("handlers", "level", "propagate"):  # loading the source changes them: put back
        monkeypatch.setattr(log := logging.getLogger("vchat"), name, getattr(log, name))
    app = functions_framework.aio.create_asgi_app(target, str(MAIN))
    sys.modules["main"]._apps[target] = build(services, None if target == "api" else target)
    return app


# Suites about HTTP itself run over both; the others trust them, for the sake of time.
BOTH_WAYS = pytest.mark.parametrize("world", ["mounted", "functions-framework"], indirect=True)


@pytest.fixture(name="world")
async def _world(request, tmp_path, monkeypatch) -> AsyncIterator[World]:
    clock = ManualClock()
    bus = InProcessBus()
    store = SqliteStore(tmp_path / "vchat.db")
    store._db.execute("PRAGMA synchronous = OFF")  # no test cuts the power
    redis = FakeAsyncRedis()
    services = Services(
        store=store,
        state=RedisState(redis, clock=clock),
        bus=bus.instance("functions"),
        keys=new_ring(),
        issuer=ISSUER,
        relay_urls=RELAYS,
        origins=frozenset({PAGE}),
        clock=lambda: clock.now / 1000,
    )
    if getattr(request, "param", "mounted") == "mounted":
        app: ASGIApp = Starlette(routes=[Mount("/api", app=build(services))])
        prefix = "/api"
    else:
        app = framework_app("api", services, monkeypatch, tmp_path)
        prefix = ""
    async with serving(app) as base:
        api = Api(base + prefix)
        yield World(api, services, clock, bus.instance("relay"))
        await api.close()
    await store.close()
    await redis.aclose()
