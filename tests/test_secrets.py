"""What nobody must find again: tokens, what was said, names; through all there is, as it works and
as it fails, in no log line, no refusal and no page for operators."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from adapters.state_redis import RedisState, connect
from tests.components import free_port
from tests.http_api import Guest
from tests.identity_world import House
from tests.identity_world import _house as _house
from tests.identity_world import _log as _log
from tests.relays import Browser, RunningRelay, running_relay

SAID = "the-cat-is-at-the-window"
NAME = "Ayako-of-the-tests"
PASSWORD = "hunter2-of-redis"


class Secrets:
    """Everything secret that came up, by what it is."""

    def __init__(self) -> None:
        self.known = {"what was said": SAID, "a name": NAME, "a password": PASSWORD}
        self.answers: list[str] = []

    def add(self, what: str, secret: str) -> str:
        assert len(secret) > 15
        self.known[f"{what} {len(self.known)}"] = secret
        return secret

    def found_in(self, text: str) -> list[str]:
        return [what for what, secret in self.known.items() if secret in text]


@pytest.fixture(name="relay")
async def _relay(house: House) -> AsyncIterator[RunningRelay]:
    async with running_relay(
        house.services.state,
        house.bus,
        clock=house.services.clock,
        issuer=house.services.issuer,
        keys=house.services.keys,
    ) as relay:
        yield relay


async def knock(relay: RunningRelay, secrets: Secrets, room: str, first: str) -> None:
    """Say something first that is refused, and keep what is answered."""
    stranger = await relay.open(room)
    await stranger.socket.send(first)
    secrets.answers.append(str(await stranger.closed()))


async def enter(
    house: House, relay: RunningRelay, secrets: Secrets, person: Guest, room: str
) -> tuple[Browser, str]:
    """Somebody's browser inside, and the ticket that was used up for it."""
    ticket = secrets.add("ticket", (await person.ticket(room)).json()["ticket"])
    browser = await relay.open(room)
    await browser.send(type="hello", ticket=ticket)
    browser.welcome = await browser.text("welcome")
    secrets.add("resume token", browser.welcome["resume"])
    return browser, ticket


@asynccontextmanager
async def without_redis(house: House, relay: RunningRelay) -> AsyncIterator[None]:
    """The shared state is away, and its address has a password in it."""
    away = RedisState(connect(f"redis://:{PASSWORD}@127.0.0.1:{free_port()}"))
    state = relay.state
    real = state._redis, state._script
    state._redis, state._script = away._redis, away._script
    try:
        yield
    finally:
        state._redis, state._script = real
        await away.close()


async def test_secrets_are_in_no_log_no_refusal_and_no_page_for_operators(
    house: House, relay: RunningRelay, monkeypatch
):
    secrets = Secrets()
    person = await house.api.guest(NAME)
    secrets.add("access token", person.token)
    old = secrets.add("refresh token", person.session["refreshToken"])
    room = await person.room()
    invite = (await person("POST", f"/rooms/{room}/invites")).json()["invite"]
    secrets.add("invite", invite)

    async def refused(method: str, path: str, body: object = None, **more: object) -> None:
        answer = await house.api(method, path, body, **more)
        assert answer.status_code >= 400
        secrets.answers.append(f"{answer.text}{answer.headers}")

    # HTTP, as it fails
    session = (await house.api("POST", "/auth/refresh", {"refreshToken": old})).json()
    secrets.add("refresh token", session["refreshToken"])
    secrets.add("access token", session["accessToken"])
    await refused("POST", "/auth/refresh", {"refreshToken": old})
    forged = secrets.add("forged token", person.token[:-20] + "A" * 20)
    await refused("GET", "/me", token=forged)
    await refused("GET", "/me", token=old)
    await refused("GET", "/me", headers={"Authorization": person.token})
    await refused("POST", f"/rooms/{room}/tickets", {"invite": [invite]}, token=person.token)
    await refused("POST", "/auth/guest", content=f'{{"name": "{NAME}", {old}'.encode())
    await refused("POST", "/auth/exchange", {"provider": "nextauth", "token": forged})

    # A stay, and every way to show a token at the wrong place
    aya, used = await enter(house, relay, secrets, person, room)
    await aya.send(type="chat", id="m1", text=SAID)
    await aya.text("ack")
    await aya.send(type="signal", id="m2", name="note", data={"text": SAID})
    await aya.text("ack")
    hello = {"type": "hello", "ticket": used}
    for first in (
        json.dumps(hello),
        json.dumps(hello | {"ticket": forged}),
        json.dumps(hello | {"ticket": [used]}),
        json.dumps({"type": "hello", "resume": {"token": used, "epoch": "x", "offset": 1}}),
        json.dumps({"type": used}),
        "{" + used,
        f'"{used}"',
    ):
        await knock(relay, secrets, room, first)
    for message in (
        {"type": "refresh", "ticket": forged},
        {"type": "chat", "id": used, "text": SAID},
        {"type": used, "id": "m3"},
        {"type": "chat", "id": "m4", "text": [SAID, used]},
    ):
        await aya.send(**message)
        secrets.answers.append(str(await aya.text("error")))

    # Something of ours breaks, and then the shared state is gone
    async def broken(*args: object, **more: object) -> None:
        raise RuntimeError("the planted mistake")

    with monkeypatch.context() as patch:
        patch.setattr(house.services.state, "append", broken)
        patch.setattr(house.services.store, "account", broken)
        await refused("GET", "/me", token=person.token)
        await aya.send(type="chat", id="m5", text=SAID)
        secrets.answers.append(str(await aya.closed()))
    ben, _ = await enter(house, relay, secrets, await house.api.guest(NAME), room)
    async with without_redis(house, relay):
        await refused("POST", f"/rooms/{room}/tickets", {}, token=person.token)
        await knock(relay, secrets, room, json.dumps(hello))
        await ben.send(type="chat", id="m6", text=SAID)
        secrets.answers.append(str(await ben.text("error")))
        await asyncio.gather(
            *(one.renew() for one in relay.relay.hub._rooms.values()), return_exceptions=True
        )
    async with httpx.AsyncClient(verify=False) as client:
        for path in ("/healthz", "/metrics"):
            base = relay.url.replace("ws", "http")
            secrets.answers.append((await client.get(base + path)).text)

    logged = house.log.text
    assert "the planted mistake" in logged
    assert logged.count('"severity":"ERROR"') >= 2, "the log was not listening"
    assert secrets.found_in(logged) == []
    assert len(secrets.answers) > 20
    assert secrets.found_in("\n".join(secrets.answers)) == []
