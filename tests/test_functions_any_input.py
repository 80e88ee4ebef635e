"""No input makes a 500: every operation against whatever people could send."""

import asyncio
import json
from urllib.parse import quote

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.app import OPERATIONS
from tests.http_api import Guest
from tests.http_world import World
from tests.http_world import _world as _world

TRICKY = ["", "public", "preset", "url", "https://[x", "\u202e", "\x00", "\u200d", "😀" * 50]
TRICKY += ["kick", "ban", "role", "member", "9999-12-31T23:59:59-23:59", "vi_x.y", "vr_x.y"]
TEXT = st.text(max_size=60) | st.sampled_from(TRICKY)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
FIELDS = sorted(
    {
        field.encode_name
        for operation in OPERATIONS
        if operation.body is not None
        for field in msgspec.structs.fields(operation.body)
    }
)
BODIES = (
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=5).map(
        lambda body: json.dumps(body).encode()
    )
    | VALUES.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=60)
)
# What ends the account or the room would end the test with it.
FATAL = {("DELETE", "/me"), ("DELETE", "/rooms/{room_id}")}
HARMLESS = [one for one in OPERATIONS if (one.method, one.path) not in FATAL]


async def send(guest: Guest, room: str, method: str, path: str, query: str, body: bytes) -> int:
    address = path.replace("{room_id}", room).replace("{invite_id}", "x")
    response = await guest(method, f"{address}?{query}", content=body)
    return response.status_code


async def test_nothing_that_is_sent_makes_a_500(world: World, monkeypatch):
    owner = await world.guest()
    room = await owner.room()
    loop = asyncio.get_running_loop()

    async def free(what, rate):
        return 0

    monkeypatch.setattr(world.services.state, "spend", free)

    @settings(
        max_examples=250,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(
        operation=st.sampled_from(HARMLESS),
        query=st.dictionaries(st.sampled_from(["q", "limit", "cursor"]), TEXT | st.integers()),
        body=BODIES,
    )
    def attempt(operation, query, body):
        line = "&".join(f"{k}={quote(str(v), safe='')}" for k, v in query.items())
        sent = send(owner, room, operation.method, operation.path, line, body)
        status = asyncio.run_coroutine_threadsafe(sent, loop).result(20)
        assert status < 500
        assert status != 410

    # hypothesis is synchronous: it runs in a thread, and the API in this loop.
    await asyncio.to_thread(attempt)
