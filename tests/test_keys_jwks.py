"""Public keys from a URL: the last good set is kept, and made-up key ids are not asked for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.backoff import Backoff
from adapters.keys_jwks import JwksKeys
from adapters.keys_remote import RemoteKeys
from tests.http_api import serving
from vchat.keys import KeyRing, new_ring, parse_public, public_jwks


@dataclass
class Publisher:
    """A server of keys that can break in every way a server breaks."""

    ring: KeyRing = field(default_factory=new_ring)
    answer: Response | None = None
    age: str = "public, max-age=300"
    url: str = ""
    fetches: int = 0

    async def serve(self, request: Request) -> Response:
        self.fetches += 1
        if self.answer is not None:
            return self.answer
        return JSONResponse(public_jwks(self.ring.public), headers={"Cache-Control": self.age})


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - the refresh is a task that we cannot reach
            await asyncio.sleep(0)


@pytest.fixture(name="publisher")
async def _publisher() -> AsyncIterator[Publisher]:
    publisher = Publisher()
    async with serving(Starlette(routes=[Route("/jwks", publisher.serve)])) as base:
        publisher.url = f"{base}/jwks"
        yield publisher


@pytest.fixture(name="seconds")
def _seconds() -> Seconds:
    return Seconds()


@pytest.fixture(name="keys")
async def _keys(publisher: Publisher, seconds: Seconds) -> AsyncIterator[RemoteKeys]:
    keys = RemoteKeys(publisher.url, parse_public, clock=seconds)
    yield keys
    await keys.close()


async def test_keys_are_fetched_once_and_again_when_their_age_is_over(publisher, seconds, keys):
    kid = publisher.ring.kid
    for _ in range(3):
        assert await keys.find(kid) is not None
    assert publisher.fetches == 1
    seconds.now += 301
    await keys.find(kid)
    assert publisher.fetches == 2


async def test_callers_who_come_together_share_one_fetch(publisher, keys):
    found = await asyncio.gather(*(keys.find(publisher.ring.kid) for _ in range(20)))
    assert all(found)
    assert publisher.fetches == 1


async def test_a_new_key_is_found_at_once_and_made_up_ids_are_not_asked_for(
    publisher, seconds, keys
):
    await keys.find(publisher.ring.kid)
    publisher.ring = publisher.ring.with_new_key()
    new = list(publisher.ring.keys)[1]
    seconds.now += 11
    assert await keys.find(new) is not None
    for number in range(50):
        assert await keys.find(f"made-up-{number}") is None
    assert publisher.fetches == 2


@pytest.mark.parametrize(
    "answer",
    [
        Response(status_code=500),
        Response(b"<html>"),
        Response(b'{"keys": []}'),
        Response(b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "short"}]}'),
        Response(b'{"keys": 7}'),
        Response(b"\xff\xfe\xfd"),
        Response(b" " * 300_000),
        Response(status_code=302, headers={"Location": "http://127.0.0.1:1/"}),
    ],
)
async def test_the_last_good_set_outlives_a_publisher_that_breaks(publisher, seconds, keys, answer):
    kid = publisher.ring.kid
    await keys.find(kid)
    publisher.answer = answer
    seconds.now += 301
    assert await keys.find(kid) is not None
    assert publisher.fetches == 2
    publisher.answer = None
    seconds.now += 11
    publisher.ring = new_ring()
    assert await keys.find(publisher.ring.kid) is not None
    assert kid not in keys.known()


@pytest.mark.parametrize(
    ("age", "wait"), [("max-age=0", 60), ("no-store", 300), ("max-age=999999999", 86400)]
)
async def test_the_publishers_age_is_obeyed_within_reason(publisher, seconds, keys, age, wait):
    publisher.age = age
    await keys.refresh()
    assert keys.due_in() == wait


async def test_a_relay_starts_without_the_api_and_learns_the_keys_when_it_is_back(publisher):
    publisher.answer = Response(status_code=503)
    keys = JwksKeys(publisher.url, cool_down_s=0, retry=Backoff(0.001, 0.01))
    await keys.start()
    assert not keys.known()
    publisher.answer = None
    await until(lambda: bool(keys.known()))
    assert list(keys.known()) == list(publisher.ring.keys)
    await keys.close()


async def test_a_ticket_of_an_unknown_key_has_the_relay_ask_for_it(publisher):
    keys = JwksKeys(publisher.url, cool_down_s=0)
    await keys.start()
    publisher.ring = publisher.ring.with_new_key()
    new = list(publisher.ring.keys)[1]
    assert keys.known().get(new) is None
    await until(lambda: new in list(keys.known()))
    assert publisher.fetches == 2
    await keys.close()
