"""What only the fallback promises: the stream's own words, the requests beside it, coarser poses.
All that it shares with sockets is in test_relay.py and test_drain.py, which run over both."""

import asyncio
import base64
import json
from contextlib import asynccontextmanager

import httpx
import pytest
from fakeredis import FakeAsyncRedis

from adapters.bus_memory import InProcessBus
from adapters.state_redis import RedisState
from relay import streams
from relay.line import Frame
from relay.stream_line import StreamLine
from tests.relays import ORIGIN, RunningRelay, new_room, running_relay, ticket
from tests.streams import events
from vchat import limits, ticks
from vchat.model import Room

OWN = bytes([200])


@pytest.fixture(name="state")
def _state() -> RedisState:
    return RedisState(FakeAsyncRedis())


@pytest.fixture(name="relay")
async def _relay(state):
    async with running_relay(state, way="stream") as relay:
        yield relay


@pytest.fixture(name="room")
async def _room(state) -> Room:
    room = new_room()
    await state.show_room(room)
    return room


@asynccontextmanager
async def http(relay: RunningRelay, room: Room, **headers: str):
    base = f"{relay.url.replace('ws', 'http', 1)}/rooms/{room.id}"
    async with httpx.AsyncClient(base_url=base, headers=headers, verify=False) as client:
        yield client


def hello(room: Room, user: str) -> str:
    return json.dumps({"type": "hello", "ticket": ticket(room.id, user)})


# The stream


async def test_a_stream_begins_with_its_key_and_the_welcome_and_no_cache_may_keep_it(relay, room):
    async with (
        http(relay, room) as client,
        client.stream("POST", "/stream", content=hello(room, "aya")) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-accel-buffering"] == "no"
        told = events(answer)
        name, data = await anext(told)
        assert name == "stream"
        assert len(json.loads(data)["key"]) > 40
        name, data = await anext(told)
        assert (name, json.loads(data)["type"]) == ("", "welcome")
        assert json.loads(data)["tickHz"] == limits.FALLBACK_TICK_HZ


async def test_something_comes_now_and_then_even_when_nothing_happens(relay, room, monkeypatch):
    monkeypatch.setattr("relay.streams._HEARTBEAT_S", 0.05)
    async with (
        http(relay, room) as client,
        client.stream("POST", "/stream", content=hello(room, "aya")) as answer,
    ):
        seen = b""
        async for chunk in answer.aiter_raw():
            seen += chunk
            if seen.endswith(b"\n: \n\n"):
                break
        assert b'"type":"welcome"' in seen


async def test_a_refusal_is_a_bye_and_a_close_in_the_stream(relay, room):
    async with (
        http(relay, room) as client,
        client.stream("POST", "/stream", content='{"type":"hello","ticket":"a.b.c"}') as answer,
    ):
        told = [one async for one in events(answer)]
    assert [name for name, _ in told] == ["stream", "", "close"]
    assert json.loads(told[1][1]) == {"type": "bye", "code": 4300, "reason": "bad-token"}
    assert json.loads(told[2][1]) == {"code": 4300, "reason": "bad-token"}


async def test_text_of_any_kind_survives_the_stream(relay, room):
    aya = await relay.join(room.id, "aya")
    ben = await relay.join(room.id, "ben")
    strange = "a\nb\n\ndata: c: d"
    await aya.send(type="chat", id="m", text=strange)
    assert (await ben.text("chat"))["text"] == strange
    # Line breaks between JSON's own signs are passed on as they came.
    await aya.socket.send('{"type":"signal","id":"s","name":"n","data":{"x":\r1}}')
    assert (await ben.text("signal"))["data"] == {"x": 1}


async def test_a_hello_that_does_not_come_is_not_waited_for(relay, room, monkeypatch):
    monkeypatch.setattr(limits, "HELLO_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(relay.url.split(":")[-1]))
    writer.write(
        f"POST /rooms/{room.id}/stream HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{{".encode()
    )
    assert b"400" in await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    assert len(relay.relay.streams) == 0


async def test_under_a_uvicorn_that_we_do_not_know_streams_work_all_the_same(state, room):
    async with running_relay(state, fast=False, way="stream") as relay:
        aya = await relay.join(room.id, "aya")
        ben = await relay.join(room.id, "ben", way="socket")
        await aya.send(type="chat", id="m", text="hi")
        assert (await ben.text("chat"))["text"] == "hi"
        await ben.pose(1, OWN)
        assert (await aya.tick())[1] == [(ben.welcome["seat"], 1, OWN)]
        aya.vanish()
        assert (await relay.resume(aya, offset=1)).welcome["recovered"] is True


# The requests beside it


async def test_only_the_streams_key_lets_frames_in(relay, room):
    aya = await relay.join(room.id, "aya")
    key = await aya.socket.key
    instance = key.split(".")[0]
    other = new_room()
    frame = '{"type":"chat","id":"m","text":"hi"}'

    async def post(where: Room, header: str | None) -> tuple[int, str]:
        headers = {} if header is None else {"Authorization": header}
        async with http(relay, where, **headers) as client:
            answer = await client.post("/frames", content=frame)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["cache-control"] == "no-store"
        return answer.status_code, answer.json()["code"]

    assert await post(room, None) == (401, "unauthenticated")
    assert await post(room, f"Basic {key}") == (401, "unauthenticated")
    assert await post(room, f"Bearer {instance}.guess") == (410, "stream-over")
    assert await post(room, "Bearer xotherinstance.guess") == (409, "elsewhere")
    assert await post(other, f"Bearer {key}") == (410, "stream-over")
    await aya.nothing()
    await aya.leave()
    assert await post(room, f"Bearer {key}") == (410, "stream-over")


async def test_frames_of_one_request_are_heard_in_order_and_answered_202(relay, room):
    aya = await relay.join(room.id, "aya")
    ben = await relay.join(room.id, "ben")
    lines = [json.dumps({"type": "chat", "id": f"m{n}", "text": f"{n}"}) for n in range(5)]
    lines.insert(2, ":" + base64.b64encode(ticks.pose(1, OWN)).decode())
    async with http(relay, room, Authorization=f"Bearer {await aya.socket.key}") as client:
        answer = await client.post("/frames", content="\n".join(lines))
    assert (answer.status_code, answer.content) == (202, b"")
    assert [(await ben.text("chat"))["text"] for _ in range(5)] == ["0", "1", "2", "3", "4"]


async def test_requests_are_bounded_in_number_size_and_time(relay, room, monkeypatch):
    aya = await relay.join(room.id, "aya")
    async with http(relay, room, Authorization=f"Bearer {await aya.socket.key}") as client:
        large = await client.post("/frames", content=b"x" * (limits.BODY_BYTES + 1))
        assert (large.status_code, large.json()["code"]) == (413, "payload-too-large")
        odd = await client.post("/frames", content=b"\xff")
        assert (odd.status_code, odd.json()["code"]) == (400, "invalid-request")

        begun, halfway = asyncio.Event(), asyncio.Event()
        real = streams._text

        async def noticed(*args):
            begun.set()
            return await real(*args)

        monkeypatch.setattr(streams, "_text", noticed)

        async def slowly():
            yield b"{"
            await halfway.wait()

        slow = asyncio.create_task(client.post("/frames", content=slowly()))
        stream = relay.relay.streams._open[await aya.socket.key]
        await begun.wait()
        second = await client.post("/frames", content="")
        assert (second.status_code, second.json()["code"]) == (429, "too-fast")
        halfway.set()
        assert (await slow).status_code == 202

        monkeypatch.setattr(stream.posts, "_tokens", 0.0)
        monkeypatch.setattr(stream.posts, "_rate", limits.Rate(1, 0.001))
        fast = await client.post("/frames", content="")
        assert (fast.status_code, fast.json()["code"]) == (429, "too-fast")
        assert int(fast.headers["retry-after"]) > 0


async def test_only_pages_that_may_are_answered(relay, room):
    preflight = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    async with http(relay, room, Origin=ORIGIN) as ours:
        answer = await ours.options("/frames", headers=preflight)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "Authorization" in answer.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in answer.headers
        async with ours.stream("POST", "/stream", content=hello(room, "aya")) as stream:
            assert stream.status_code == 200
            assert stream.headers["access-control-allow-origin"] == ORIGIN
    async with http(relay, room, Origin="https://evil.test") as foreign:
        assert (await foreign.options("/frames", headers=preflight)).status_code == 400
        for path in ("/stream", "/frames"):
            answer = await foreign.post(path, content=hello(room, "ben"))
            assert (answer.status_code, answer.json()["code"]) == (403, "bad-origin")
            assert "access-control-allow-origin" not in answer.headers
    async with http(relay, room) as anybody:
        for path in ("/stream", "/frames"):
            assert (await anybody.options(path)).status_code == 204


# Poses, and those who do not read


class Ear:
    def __init__(self) -> None:
        self.heard: list[str | bytes] = []
        self.gone: list[int] = []
        self.slow = self.floods = 0

    def on_text(self, text: str) -> None:
        self.heard.append(text)

    def on_binary(self, data: bytes) -> None:
        self.heard.append(data)

    def on_gone(self, code: int) -> None:
        self.gone.append(code)

    def on_slow(self) -> None:
        self.slow += 1

    def on_flood(self) -> None:
        self.floods += 1


class Clock:
    now = 0.0

    def time(self) -> float:
        return self.now


async def line(monkeypatch) -> tuple[StreamLine, Ear, Clock]:
    one, ear, clock = StreamLine("k", "hello"), Ear(), Clock()
    monkeypatch.setattr(one, "_loop", clock)
    one.start(ear)
    assert ear.heard == ["hello"]
    return one, ear, clock


async def test_poses_go_out_five_times_a_second_at_most(monkeypatch):
    one, _, clock = await line(monkeypatch)
    taken = 0
    for beat in range(100):  # of a room's ticks, over 5 s
        clock.now = beat / limits.TICK_HZ
        taken += one.offer(Frame(b"t", binary=True))
        one._queue.clear()
        one._backlog = 0
    assert taken == 5 * limits.FALLBACK_TICK_HZ


async def test_large_ticks_go_out_less_often(monkeypatch):
    one, _, clock = await line(monkeypatch)
    tick = Frame(bytes(limits.FALLBACK_POSE_BYTES_S // 2), binary=True)
    taken = 0
    for beat in range(200):
        clock.now = beat / limits.TICK_HZ
        taken += one.offer(tick)
        one._queue.clear()
        one._backlog = 0
    assert taken == 20


async def test_whoever_was_skipped_is_shown_everything_next(relay, room):
    aya = await relay.join(room.id, "aya", way="socket")
    ben = await relay.join(room.id, "ben")
    keyframe, delta = bytes([1, 0x01, 9]), bytes([1, 0x00, 1, 9])
    await aya.pose(0, keyframe)
    known = set()
    for seq in range(1, 60):
        await aya.pose(seq, delta)
        await asyncio.sleep(0.01)
    last = -1
    while last != 59:
        _, poses = await ben.tick()
        for _, last, body in poses:
            known.add(last)
            assert body == delta or last == 0
        assert 0 in known, "a delta came without its keyframe"
    assert len(known) < 30


async def test_a_line_that_is_not_read_is_bounded_and_given_up(monkeypatch):
    monkeypatch.setattr("relay.stream_line._CLOSE_S", 0.05)
    one, ear, _ = await line(monkeypatch)
    sent = 0
    while not ear.slow:
        one.send(Frame(bytes(1000)))
        sent += 1000
        assert sent < 2 * limits.WRITE_BUFFER_BYTES
    await one.close(4003, "slow-reader")
    assert not one._queue


async def test_who_stops_reading_is_cut_off_and_the_others_go_on(relay, room, monkeypatch):
    monkeypatch.setattr(limits, "STALL_S", 0.2)
    monkeypatch.setattr("relay.stream_line._CLOSE_S", 0.05)
    aya = await relay.join(room.id, "aya")
    ben = await relay.join(room.id, "ben", way="socket")
    body = hello(room, "cho").encode()
    _, writer = await asyncio.open_connection(
        "127.0.0.1", int(relay.url.split(":")[-1]), limit=1024
    )
    head = (
        f"POST /rooms/{room.id}/stream HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await ben.text("joined")
    assert len(relay.relay.streams) == 2
    here = relay.relay.hub._rooms[room.id]
    told = 0
    while len(relay.relay.streams) == 2:
        here.whisper(json.dumps({"type": "signal", "data": "x" * 60_000}).encode())
        for reader in (aya, ben):
            await reader.text("signal", 10)
        told += 60_000
        assert told < 2**26, "nothing bounds what is kept for one who does not read"
    writer.transport.abort()
    await aya.send(type="chat", id="m", text="calm")
    assert (await ben.text("chat", 10))["text"] == "calm"


async def test_a_stream_that_broke_before_its_session_began_leaves_nobody_behind(monkeypatch):
    one, ear = StreamLine("k", "hello"), Ear()
    one.lost()
    one.start(ear)
    assert (ear.heard, ear.gone) == ([], [1006])


# Moving


async def test_a_stream_and_a_socket_of_one_session_take_over_from_each_other(state, room):
    bus = InProcessBus()
    async with running_relay(state, bus) as relay:
        ben = await relay.join(room.id, "ben")
        old = await relay.join(room.id, "aya", way="stream")
        await ben.text("joined")
        relay.way = "socket"
        new = await relay.resume(old, offset=2)
        assert (new.welcome["recovered"], new.welcome["seat"]) == (True, old.welcome["seat"])
        relay.way = "stream"
        back = await relay.resume(new, offset=2)
        assert back.welcome["recovered"] is True
        await ben.send(type="chat", id="m", text="hi")
        assert (await back.text("chat"))["offset"] == 3
        await ben.text("chat")
        await ben.text("ack")
        await ben.nothing()
        for left_behind in (old, new):
            left_behind.vanish()
