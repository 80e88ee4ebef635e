"""An older browser meets this relay, and this relay newer browsers, functions and state."""

import copy
import time
from pathlib import Path

import msgspec
import pytest
from fakeredis import FakeAsyncRedis

from adapters.state_redis import RedisState
from tests.relays import ISSUER, RING, RunningRelay, new_room, running_relay, ticket
from tests.transcript import WELCOME_BYTES, Play, lacks, read
from vchat import limits, outbound, tokens
from vchat.policy import Role

GOLDEN = sorted((Path(__file__).parent / "golden").glob("protocol-*.jsonl"))


@pytest.fixture(name="room")
def _room():
    return new_room()


@pytest.fixture(name="relay")
async def _relay(room):
    state = RedisState(FakeAsyncRedis())
    await state.show_room(room)
    async with running_relay(state) as relay:
        yield relay


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
async def test_a_client_of_that_day_is_answered_as_on_that_day(
    relay: RunningRelay, room, golden: Path, monkeypatch
):
    monkeypatch.setattr(limits, "WELCOME_BYTES", WELCOME_BYTES)
    play = Play(relay, room.id)
    lines = read(golden)
    assert len([line for line in lines if "frame" in line]) > 20
    for number, line in enumerate(lines, 1):
        now = await play.step(line)
        if now is not None:
            assert lacks(line["frame"], now) == [], f"line {number}"


def test_a_conversation_of_todays_version_is_kept():
    assert f"protocol-{outbound.VERSION}" in {golden.stem for golden in GOLDEN}


def test_what_an_older_client_would_miss_is_noticed():
    (golden, *_) = GOLDEN
    welcome = next(
        line["frame"] for line in read(golden) if line.get("frame", {}).get("type") == "welcome"
    )
    assert lacks(welcome, {**welcome, "new": 1}) == []
    assert lacks(welcome, {**welcome, "epoch": "another"}) == []
    assert lacks(welcome, {**welcome, "epoch": 5}) == ["$.epoch is of another kind"]
    gone = copy.deepcopy(welcome)
    del gone["members"][0]["muted"]
    assert lacks(welcome, gone) == ["$.members[0].muted is gone"]
    assert lacks(welcome, {**welcome, "tickHz": 30}) == ["$.tickHz was 20 and is 30"]


async def test_a_newer_client_is_let_in_and_told_what_is_spoken_here(relay, room):
    aya = await relay.open(room.id)
    await aya.send(
        type="hello",
        ticket=ticket(room.id, "aya"),
        version=outbound.VERSION + 97,
        holograms={"yes": True},
    )
    welcome = await aya.text("welcome")
    assert welcome["version"] == outbound.VERSION

    await aya.send(type="hologram", id="h1", depth=3)
    error = await aya.text("error")
    assert (error["code"], error["id"]) == ("unknown-type", "h1")
    await aya.send(type="chat", id="k1", text="hello", colour="red", mood=[1, 2])
    assert (await aya.text("ack"))["id"] == "k1"

    aya.vanish()
    again = await relay.open(room.id)
    resume = {"token": welcome["resume"], "epoch": welcome["epoch"], "offset": 2, "shape": "cube"}
    await again.send(type="hello", resume=resume, version=99)
    assert (await again.text("welcome"))["recovered"] is True


async def test_a_ticket_of_newer_functions_is_good(relay, room):
    claims = tokens.ticket_claims(
        user_id="aya", room_id=room.id, role=Role.MEMBER, name="Aya", avatar=None, admitted=False
    )
    newer = {**claims, "halo": {"colour": "gold"}}
    token = tokens.sign(
        tokens.TICKET, newer, issuer=ISSUER, kid=RING.kid, key=RING.signing, now=int(time.time())
    )
    aya = await relay.open(room.id)
    await aya.send(type="hello", ticket=token)
    assert (await aya.text("welcome"))["user"]["id"] == "aya"


async def test_what_a_newer_relay_left_in_the_state_is_read(relay, room):
    aya = await relay.join(room.id, "aya")
    redis = relay.state._redis
    (key,) = [key async for key in redis.scan_iter("vchat:resume:*")]
    kept = msgspec.json.decode(await redis.get(key))
    await redis.set(key, msgspec.json.encode({**kept, "halo": 1}))
    members = f"vchat:{{{room.id}}}:members"
    head, card = (await redis.hget(members, "aya")).split(b"{", 1)
    await redis.hset(members, "aya", head + b'{"halo":1,' + card)

    aya.vanish()
    again = await relay.resume(aya, offset=1)
    assert again.welcome["recovered"] is True
    assert [one["userId"] for one in again.welcome["members"]] == ["aya"]
    assert [one.user_id for one in await relay.state.members(room.id)] == ["aya"]
