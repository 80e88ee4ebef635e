"""Signing keys turn over while people use the service, and nobody notices."""

import asyncio
import base64
import dataclasses
import itertools
import json
from pathlib import Path

from fakeredis import FakeAsyncRedis
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.backoff import Backoff
from adapters.bus_memory import InProcessBus
from adapters.keys_jwks import JwksKeys
from adapters.state_redis import RedisState
from adapters.store_sqlite import SqliteStore
from functions.app import build
from functions.services import Services
from infra.tools.rotate import rotated
from tests.http_api import Api, serving
from vchat.keys import KeyRing, new_ring
from vchat.tokens import read_ticket


class Switch:
    """A load balancer over instances of the API; each request goes to the next one."""

    def __init__(self, apps: list[ASGIApp]) -> None:
        self.apps = apps
        self._turns = itertools.count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.apps[next(self._turns) % len(self.apps)](scope, receive, send)


async def test_keys_are_rotated_under_load_without_a_failed_request(tmp_path: Path):
    """Two instances take new rings one after the other; a relay follows by JWKS alone."""
    store, redis = SqliteStore(tmp_path / "vchat.db"), FakeAsyncRedis()
    store._db.execute("PRAGMA synchronous = OFF")
    switch = Switch([])
    async with serving(switch) as base:
        services = Services(
            store=store,
            state=RedisState(redis),
            bus=InProcessBus().instance("functions"),
            keys=new_ring(),
            issuer=f"{base}/api",
            relay_urls=("ws://relay.test",),
        )

        def instance(ring: KeyRing) -> ASGIApp:
            api = build(dataclasses.replace(services, keys=ring))
            return Starlette(routes=[Mount("/api", app=api)])

        ring = services.keys
        switch.apps = [instance(ring), instance(ring)]
        relay = JwksKeys(
            f"{base}/api/.well-known/jwks.json", cool_down_s=0, retry=Backoff(0.001, 0.01)
        )
        await relay.start()
        api = Api(f"{base}/api")
        people = [await api.guest() for _ in range(4)]
        room = await people[0].room()
        used: set[str] = set()
        rounds = [0] * len(people)
        stop = asyncio.Event()

        async def live(number: int) -> None:
            person = people[number]
            while not stop.is_set():
                me = await person("GET", "/me")
                assert me.status_code == 200, me.text
                await redis.delete(*await redis.keys("vchat:rate:*") or ["none"])
                made = await person.ticket(room)
                assert made.status_code == 201, made.text
                ticket = made.json()["ticket"]
                now = services.clock()
                known = relay.known()
                read_ticket(ticket, room, issuer=services.issuer, keys=known, now=now)
                used.add(json.loads(base64.urlsafe_b64decode(ticket.split(".")[0] + "=="))["kid"])
                body = {"refreshToken": person.session["refreshToken"]}
                session = await api("POST", "/auth/refresh", body)
                assert session.status_code == 200, session.text
                person.session, person.token = session.json(), session.json()["accessToken"]
                rounds[number] += 1

        async def everyone_does_a_whole_round() -> None:
            """One that began after this call; the round under way at the call does not count."""
            wanted = [done + 2 for done in rounds]
            while any(done < want for done, want in zip(rounds, wanted, strict=True)):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

        async with asyncio.timeout(120), asyncio.TaskGroup() as load:
            for number in range(len(people)):
                load.create_task(live(number))
            for step in ("add", "turn", "drop"):
                ring = rotated(ring, step)
                for number in (0, 1):
                    await everyone_does_a_whole_round()
                    switch.apps[number] = instance(ring)
                # The hour that an operator waits: every verifier has fetched the keys again.
                await _published(relay, ring)
                await everyone_does_a_whole_round()
            used.clear()
            await everyone_does_a_whole_round()
            stop.set()
        assert used == {ring.kid}
        await relay.close()
        await api.close()
    await store.close()
    await redis.aclose()


async def _published(relay: JwksKeys, ring: KeyRing) -> None:
    """Until the relay has exactly this ring; looking for an unknown key has it fetched."""
    async with asyncio.timeout(20):
        while list(relay.known()) != list(ring.keys):
            relay.known().get("a-key-nobody-has")
            await asyncio.sleep(0.01)
