"""The API with every provider configured: a fake VRoid Hub, a NextAuth site, and what they know."""

import base64
import dataclasses
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fakeredis import FakeAsyncRedis
from joserfc import jwe
from starlette.applications import Starlette
from starlette.routing import Mount

from adapters.bus_memory import InProcessBus
from adapters.identity_nextauth import NextAuthSessions
from adapters.matching_redis import RedisQueue
from adapters.state_redis import RedisState
from adapters.store_sqlite import SqliteStore
from adapters.voice_livekit import LiveKit
from adapters.vroid_hub import VroidHub
from functions.app import build
from functions.services import Services
from tests.conftest import ManualClock
from tests.fakes.livekit import KEY, FakeLiveKit
from tests.fakes.livekit import SECRET as SECRET_OF_LIVEKIT
from tests.fakes.vroid_hub import CLIENT_ID, CLIENT_SECRET, FakeHub
from tests.http_api import Api, Guest, serving
from vchat.hub import HubAccess
from vchat.json_lines import JsonLines
from vchat.keys import new_ring
from vchat.policy import Role
from vchat.state import Guest as Seater
from vchat.vault import load_vault

PAGE = "https://page.test/"
VAULT_KEY = base64.b64encode(bytes(range(32))).decode()
SECRET = "a-nextauth-secret-of-the-tests-only"


OPERATIONS = {
    "signInChoices",
    "exchange",
    "linkIdentity",
    "unlinkIdentity",
    "listAvatars",
    "showAvatar",
    "downloadAvatar",
    "makeVoiceToken",
    "hearLivekit",
    "joinMatching",
    "lookAtMatching",
    "leaveMatching",
    "matchingStatistics",
}
"""What needs more than the plain world of tests.http_world, and answers 2xx here."""


class Log(logging.Handler):
    """Everything that was logged, as it would be written."""

    def __init__(self) -> None:
        super().__init__(0)
        self.setFormatter(JsonLines())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def nextauth_session(subject: str, now: float, name: str = "V Tester") -> str:
    """A session as a NextAuth 4 site writes it."""
    import json

    key = NextAuthSessions(SECRET)._key("A256GCM", "")
    claims = json.dumps({"sub": subject, "name": name, "exp": int(now) + 3600}).encode()
    return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, claims, key)


@dataclass
class House:
    api: Api
    services: Services
    clock: ManualClock
    hub: FakeHub
    http: httpx.AsyncClient
    log: Log
    redis: FakeAsyncRedis
    bus: InProcessBus
    livekit: FakeLiveKit

    async def to_the_hub(self, return_to: str = PAGE, **options) -> httpx.Response:
        query = {"returnTo": return_to}
        return await self.http.get("/auth/vroid/start", params=query, **options)

    async def sign_in_at_the_hub(self, return_to: str = PAGE) -> dict[str, str]:
        """Go to the Hub and come back, as a browser does; what the page finds in its address."""
        out = await self.to_the_hub(return_to)
        assert out.status_code == 302, out.text
        agreed = await self.http.get(out.headers["location"])
        assert agreed.status_code == 302, agreed.text
        back = await self.http.get(agreed.headers["location"])
        assert back.status_code == 302, back.text
        page, _, fragment = back.headers["location"].partition("#")
        assert page == return_to
        return {name: values[0] for name, values in parse_qs(fragment).items()}

    async def exchange(self, provider: str, token: str) -> httpx.Response:
        return await self.api("POST", "/auth/exchange", {"provider": provider, "token": token})

    async def someone(self) -> Guest:
        """A person who signed in at the Hub."""
        response = await self.exchange("vroid", (await self.sign_in_at_the_hub())["code"])
        assert response.status_code == 200, response.text
        return Guest(self.api, response.json())

    async def sit(
        self, room: str, *people: Guest, role: Role = Role.MEMBER, invite: str | None = None
    ) -> None:
        """Seat people as a relay does."""
        for one in people:
            assert (await one.ticket(room, invite=invite)).status_code == 201
            guest = Seater(one.id, "さくら", role, None, admitted=True)
            await self.services.state.sit(
                room,
                guest,
                session=f"s-{one.id}",
                instance="relay",
                relay="relay",
                resume=False,
            )

    async def with_nextauth(self, subject: str) -> Guest:
        token = nextauth_session(subject, self.services.clock())
        response = await self.exchange("nextauth", token)
        assert response.status_code == 200, response.text
        return Guest(self.api, response.json())


@pytest.fixture(name="log")
def _log() -> Iterator[Log]:
    """All that a deployment can write: ours at every level, libraries from warnings on."""
    log, root, ours = Log(), logging.getLogger(), logging.getLogger("vchat")
    before = root.level, ours.level
    root.addHandler(log)
    root.setLevel(logging.WARNING)
    ours.setLevel(logging.DEBUG)
    yield log
    root.removeHandler(log)
    root.setLevel(before[0])
    ours.setLevel(before[1])


@pytest.fixture(name="house")
async def _house(tmp_path: Path, log: Log) -> AsyncIterator[House]:
    clock = ManualClock()
    fake = FakeHub(clock=lambda: clock.now / 1000)
    store = SqliteStore(tmp_path / "vchat.db")
    store._db.execute("PRAGMA synchronous = OFF")
    redis, bus = FakeAsyncRedis(), InProcessBus()
    livekit = FakeLiveKit()
    async with serving(fake.app()) as hub_base, serving(livekit.app()) as livekit_base:
        hub = VroidHub(CLIENT_ID, CLIENT_SECRET, base=hub_base)
        services = Services(
            store=store,
            state=RedisState(redis, clock=clock),
            bus=bus.instance("functions"),
            keys=new_ring(),
            issuer="http://set.below",
            relay_urls=("ws://relay.test",),
            origins=frozenset({"https://page.test"}),
            providers={"nextauth": NextAuthSessions(SECRET)},
            vroid=HubAccess(
                hub=hub,
                vault=load_vault(VAULT_KEY),
                return_urls=frozenset({PAGE, "https://page.test/in"}),
            ),
            voice=LiveKit(livekit_base, KEY, SECRET_OF_LIVEKIT),
            queue=RedisQueue(redis, clock=clock),
            clock=lambda: clock.now / 1000,
        )
        app = Starlette()
        async with serving(app) as base:
            services = dataclasses.replace(services, issuer=f"{base}/api")
            app.router.routes.append(Mount("/api", app=build(services)))
            fake.redirect_uri = f"{base}/api/auth/vroid/callback"
            api = Api(f"{base}/api")
            async with httpx.AsyncClient(base_url=f"{base}/api", verify=False) as http:
                yield House(api, services, clock, fake, http, log, redis, bus, livekit)
            await api.close()
            await hub.close()
            await services.voice.close()
    await store.close()
    await redis.aclose()


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
