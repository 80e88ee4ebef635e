"""What a relay says of itself: the listed metrics with true numbers, to those who may read them."""

import asyncio
import itertools
import json
import logging
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakeredis import FakeAsyncRedis
from prometheus_client.parser import text_string_to_metric_families

from adapters.bus_memory import InProcessBus
from adapters.state_redis import RedisState
from relay.line import Frame, Line
from relay.settings import read_settings
from relay.tally import Tally
from relay.ticker import FULL, Ticker
from tests.relays import Browser, Closed, RunningRelay, new_room, running_relay, ticket
from vchat import ticks
from vchat.config import ConfigError
from vchat.cost import traffic_usd
from vchat.errors import Refused, Why
from vchat.json_lines import JsonLines
from vchat.model import Member, Room
from vchat.policy import Role
from vchat.pose import Pose, PoseEncoder, Root

ROOT = Path(__file__).parent.parent
TOKEN = "a token of an operator"
BODY = bytes([200, 1, 2, 3])
PRICE = 0.12
Numbers = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(name="state")
async def _state() -> AsyncIterator[RedisState]:
    client = FakeAsyncRedis()
    yield RedisState(client)
    await client.aclose()


@pytest.fixture(name="relay")
async def _relay(state: RedisState) -> AsyncIterator[RunningRelay]:
    async with running_relay(state, metrics_token=TOKEN, usd_per_gib=PRICE) as relay:
        yield relay


@pytest.fixture(name="room")
async def _room(state: RedisState) -> Room:
    room = new_room()
    await state.show_room(room)
    return room


async def ask(relay: RunningRelay, path: str, token: str | None = None) -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=relay.url.replace("ws:", "http:"), verify=False) as http:
        return await http.get(path, headers=headers)


async def scrape(relay: RunningRelay) -> Numbers:
    answer = await ask(relay, "/metrics", TOKEN)
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def of(numbers: Numbers, name: str, **labels: str) -> float:
    return numbers[f"vchat_{name}", frozenset(labels.items())]


class Weighed(Browser):
    """A browser that weighs what it is sent, by kind."""

    def __init__(self, browser: Browser) -> None:
        super().__init__(browser.socket)
        self.frames = dict.fromkeys(("pose", "event", "control"), 0)
        self.bytes = dict(self.frames)

    async def weigh(self, until: str = "") -> None:
        """Read until a message of this type, or until the relay closes."""
        async for frame in self.socket:
            payload = frame if isinstance(frame, bytes) else frame.encode()
            said = {} if isinstance(frame, bytes) else json.loads(frame)
            event = "time" in said and said["type"] != "welcome"
            kind = "pose" if isinstance(frame, bytes) else "event" if event else "control"
            head = 2 if len(payload) < 126 else 4
            self.frames[kind] += 1
            self.bytes[kind] += head + len(payload)
            if said.get("type") == until:
                return


# The page


async def test_the_page_serves_exactly_what_is_listed(relay: RunningRelay, room: Room) -> None:
    await relay.join(room.id, "aya")
    relay.relay.hub.doors.closes["left"] += 1
    relay.relay.hub.doors.refused["total"] += 1
    families = list(text_string_to_metric_families((await ask(relay, "/metrics", TOKEN)).text))
    served = {
        (
            f"{family.name}_total" if family.type == "counter" else family.name,
            family.type,
            ",".join(sorted({label for sample in family.samples for label in sample.labels})),
        )
        for family in families
        if not family.name.startswith("process_")
    }
    page = (ROOT / "docs" / "metrics.md").read_text()
    listed = set(re.findall(r"^\| `(vchat_\w+)` \| (\w+) \|\s*`?(\w*)`?\s*\|", page, re.MULTILINE))
    assert served == listed
    assert any(family.name == "process_resident_memory_bytes" for family in families)


async def test_what_is_counted_is_what_browsers_got_and_sent(
    relay: RunningRelay, room: Room
) -> None:
    sent = {"event": 0, "control": 0}
    browsers = []
    for name in ("aya", "mei"):
        browser = Weighed(await relay.open(room.id))
        hello = json.dumps({"type": "hello", "ticket": ticket(room.id, name)})
        await browser.socket.send(hello)
        await browser.weigh(until="welcome")
        browsers.append(browser)
    aya, mei = browsers
    chat = json.dumps({"type": "chat", "id": "1", "text": "hello" * 40})
    wave = json.dumps({"type": "signal", "id": "2", "name": "wave", "ephemeral": True})
    bad = json.dumps({"type": "nonsense"})
    leave = json.dumps({"type": "leave"})
    await aya.socket.send(chat)
    await aya.socket.send(wave)
    await mei.socket.send(bad)
    for browser in browsers:
        await browser.weigh(until="signal")
    poses = [ticks.pose(seq, BODY) for seq in range(1, 31)]
    for pose in poses:
        await mei.socket.send(pose)
    for browser in browsers:
        await browser.socket.send(leave)
    for browser in browsers:
        await browser.weigh()
    sent["event"] = len(chat) + len(wave)
    sent["control"] = len(bad) + 2 * len(leave)

    numbers = await scrape(relay)
    for kind in ("pose", "event", "control"):
        frames = sum(browser.frames[kind] for browser in browsers)
        assert of(numbers, "sent_frames_total", kind=kind) == frames, kind
        size = sum(browser.bytes[kind] for browser in browsers)
        assert of(numbers, "sent_bytes_total", kind=kind) == size, kind
    assert of(numbers, "received_frames_total", kind="pose") == len(poses)
    assert of(numbers, "received_bytes_total", kind="pose") == sum(map(len, poses))
    for kind, size in sent.items():
        assert of(numbers, "received_bytes_total", kind=kind) == size
    assert of(numbers, "events_total") == 1
    assert of(numbers, "connections_opened_total") == 2
    assert of(numbers, "redis_seconds_count") > 0


async def test_counts_never_go_back_while_people_come_return_and_leave(
    relay: RunningRelay, room: Room
) -> None:
    def counters(numbers: Numbers) -> Numbers:
        rooms = ("vchat_room_sent_bytes_total", "vchat_room_traffic_usd_total")
        return {
            key: value
            for key, value in numbers.items()
            if key[0].endswith("_total") and key[0] not in rooms
        }

    async def pose(browser: Browser, seq: int) -> None:
        await browser.pose(seq, BODY)
        await browser.tick()

    seen = [await scrape(relay)]
    aya = await relay.join(room.id, "aya")
    await pose(aya, 1)
    seen.append(await scrape(relay))
    again = await relay.resume(aya, offset=aya.welcome["head"])
    await pose(again, 2)
    seen.append(await scrape(relay))
    await aya.leave()
    await again.leave()
    seen.append(await scrape(relay))
    for before, after in itertools.pairwise(seen):
        assert all(after[key] >= value for key, value in counters(before).items())


async def test_who_is_here_is_shown_room_by_room_with_what_it_costs(
    relay: RunningRelay, room: Room
) -> None:
    aya = await relay.join(room.id, "aya")
    await relay.join(room.id, "mei")
    await aya.text("joined")
    numbers = await scrape(relay)
    assert of(numbers, "members") == 2
    assert of(numbers, "rooms") == 1
    assert of(numbers, "connections") == 2
    assert of(numbers, "room_members", room=room.id) == 2
    sent = of(numbers, "room_sent_bytes_total", room=room.id)
    assert sent > 0
    frames = sum(value for (name, _), value in numbers.items() if name == "vchat_sent_frames_total")
    usd = of(numbers, "room_traffic_usd_total", room=room.id)
    assert usd == pytest.approx(traffic_usd(int(frames), int(sent), PRICE))


async def test_a_close_that_the_relay_began_is_counted_by_its_reason(
    relay: RunningRelay, room: Room
) -> None:
    old = await relay.join(room.id, "aya")
    await relay.join(room.id, "aya")
    assert (await old.closed()).code == 4304
    assert of(await scrape(relay), "closes_total", reason="replaced") == 1


class _Slow:
    """A line whose reader is behind."""

    ready = False

    def __init__(self, line: Line) -> None:
        self.send, self.close = line.send, line.close

    def offer(self, frame: Frame) -> bool:
        return False


async def test_readers_who_are_behind_are_counted_as_skipped(
    relay: RunningRelay, room: Room
) -> None:
    aya = await relay.join(room.id, "aya")
    mei = await relay.join(room.id, "mei")
    (stay,) = [one for one in relay.relay.hub.stays() if one.me.user_id == "mei"]
    stay.line = _Slow(stay.line)
    await aya.pose(1, BODY)
    await aya.tick()
    numbers = await scrape(relay)
    assert of(numbers, "poses_skipped_total") > 0
    assert of(numbers, "sent_frames_total", kind="pose") == 1
    assert mei.welcome


class _Counted:
    """Takes all frames of poses but one of so many, and weighs them."""

    ready = True

    def __init__(self, every: int) -> None:
        self.every, self.offered, self.frames, self.bytes = every, 0, 0, 0

    def offer(self, frame: Frame) -> bool:
        self.offered += 1
        if self.offered % self.every:
            self.frames += 1
            self.bytes += len(frame.wire)
        return bool(self.offered % self.every)


@dataclass
class _Watcher:
    line: _Counted
    me: Member
    lagging: bool = False


async def test_the_ticks_of_a_full_room_are_counted_as_they_are_taken() -> None:
    people = [
        _Watcher(
            _Counted(every=3 if seat % 7 == 0 else 10**9),
            Member(seat=seat, user_id=f"u{seat}", name="Mei", role=Role.MEMBER, avatar=None),
        )
        for seat in range(FULL + 6)
    ]
    tally = Tally()
    ticker = Ticker(lambda: people, lambda: 0.0, tally)
    encoders = [PoseEncoder() for _ in people]
    for seq in range(1, 60):
        for seat, encoder in enumerate(encoders):
            place = Root(position=(seat + seq * 0.5, 0.0, 0.0), rotation=(0.0, 0.0, 0.0, 1.0))
            body = encoder.encode(Pose(root=place), seq)
            assert body is not None
            ticker.put(seat, seq, body)
        ticker._tick()
    ticker.stop()
    assert tally.poses_out == sum(person.line.frames for person in people)
    assert tally.pose_bytes_out == sum(person.line.bytes for person in people)
    assert tally.skipped > 0


async def test_the_page_is_closed_to_whoever_has_no_token(state: RedisState) -> None:
    async with running_relay(state) as closed:
        assert (await ask(closed, "/metrics")).status_code == 404
        assert (await ask(closed, "/metrics", TOKEN)).status_code == 404
    async with running_relay(state, metrics_token=TOKEN) as guarded:
        assert (await ask(guarded, "/metrics")).status_code == 401
        assert (await ask(guarded, "/metrics", "another token")).status_code == 401
        assert (await ask(guarded, "/metrics", TOKEN)).status_code == 200
    async with running_relay(state, metrics_token="") as local:
        assert (await ask(local, "/metrics")).status_code == 200


@pytest.mark.parametrize(
    ("name", "value"), [("VCHAT_METRICS_TOKEN", "short"), ("VCHAT_USD_PER_GIB", "cheap")]
)
def test_a_setting_that_cannot_be_meant_stops_the_start(name: str, value: str) -> None:
    good = {
        "VCHAT_ISSUER": "https://api.test",
        "VCHAT_ORIGINS": "https://page.test",
        "REDIS_URL": "redis://redis.test",
        "GOOGLE_CLOUD_PROJECT": "project",
    }
    assert read_settings({**good, "VCHAT_USD_PER_GIB": "0.12"}).usd_per_gib == PRICE
    with pytest.raises(ConfigError, match=name) as refused:
        read_settings({**good, name: value})
    assert value not in str(refused.value)


# The minutes


class _Lines:
    """The lines that a log would have by now."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog, self._form = caplog, JsonLines()

    def read(self, message: str | None = None) -> list[dict[str, Any]]:
        lines = [json.loads(self._form.format(record)) for record in self._caplog.records]
        return [line for line in lines if message in (None, line["message"])]


@pytest.fixture(name="lines")
def _lines(caplog: pytest.LogCaptureFixture) -> _Lines:
    caplog.set_level(logging.INFO, "vchat")
    return _Lines(caplog)


async def test_each_minute_has_a_line_of_what_changed_and_silence_has_none(
    relay: RunningRelay, room: Room, lines: _Lines
) -> None:
    minutes = relay.relay._minutes
    minutes.write()
    assert lines.read("minute") == []
    aya = await relay.join(room.id, "aya")
    await aya.send(type="chat", id="1", text="hello")
    await aya.text("ack")
    minutes.write()
    minutes.write()
    first, second = lines.read("minute")
    assert (first["members"], first["rooms"], first["events"]) == (1, 1, 1)
    assert (second["members"], second["events"]) == (1, 0)
    assert first["sentBytes"] == sum(
        first[f"sent{kind}Bytes"] for kind in ("Pose", "Event", "Control")
    )
    assert first["trafficUsd"] == pytest.approx(
        traffic_usd(first["sentFrames"], first["sentBytes"], PRICE), abs=1e-6
    )


async def test_a_room_that_closes_leaves_a_line(
    relay: RunningRelay, room: Room, lines: _Lines
) -> None:
    aya = await relay.join(room.id, "aya")
    await aya.send(type="leave")
    await aya.closed()
    while not lines.read("room closed"):  # noqa: ASYNC110 - a log line is not announced
        await asyncio.sleep(0.01)
    (line,) = lines.read("room closed")
    assert line["room"] == room.id
    assert line["sentBytes"] > 0


async def test_the_fields_of_both_lines_are_listed(
    relay: RunningRelay, room: Room, lines: _Lines
) -> None:
    aya = await relay.join(room.id, "aya")
    await aya.leave()
    while not lines.read("room closed"):  # noqa: ASYNC110 - a log line is not announced
        await asyncio.sleep(0.01)
    relay.relay._minutes.write()
    page = (ROOT / "docs" / "metrics.md").read_text()
    chapter = page.partition("\n## The lines\n")[2].partition("\n## ")[0]
    listed = set(re.findall(r"`(\w+)`", chapter)) - {"minute", "swept"}
    standard = {"severity", "message", "logger"}
    (minute,), (closed,) = lines.read("minute"), lines.read("room closed")
    assert listed == (minute.keys() | closed.keys()) - standard


async def test_a_session_that_fails_is_logged_with_its_room_and_its_name(
    relay: RunningRelay, room: Room, lines: _Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    aya = await relay.open(
        room.id, additional_headers={"X-Cloud-Trace-Context": f"{'0a' * 16}/12;o=1"}
    )
    await aya.send(type="hello", ticket=ticket(room.id, "aya"))
    aya.welcome = await aya.text()

    async def broken(*arguments: object, **named: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(relay.state, "append", broken)
    await aya.send(type="chat", id="1", text="hello")
    assert (await aya.closed()).code == 1011
    (line,) = [one for one in lines.read() if one["severity"] == "ERROR"]
    assert (line["room"], line["session"]) == (room.id, aya.welcome["session"])
    assert line["trace"] == "0a" * 16
    assert "a mistake" in line["traceback"]


async def test_no_log_and_no_metric_has_a_token_a_name_or_a_word_of_chat(
    relay: RunningRelay, room: Room, lines: _Lines
) -> None:
    proof, name, word = ticket(room.id, "private-user"), "Private-User", "private-word"
    aya = await relay.open(room.id)
    await aya.send(type="hello", ticket=proof)
    aya.welcome = await aya.text()
    assert aya.welcome["user"]["name"] == name
    await aya.send(type="chat", id="private-id", text=word)
    await aya.send(type="signal", id="2", name="private-signal", data={"private": word})
    await aya.send(type="nonsense", text=word)
    await aya.text("error")
    page = (await ask(relay, "/metrics", TOKEN)).text
    await ask(relay, "/metrics", "private-token")
    again = await relay.open(room.id)
    await again.send(type="hello", ticket=proof)
    with pytest.raises(Closed):
        await again.text()
    aya.vanish()
    while not lines.read("room closed"):  # noqa: ASYNC110 - a log line is not announced
        await asyncio.sleep(0.01)
    relay.relay._minutes.write()
    written = json.dumps(lines.read()) + page
    secrets = [proof, aya.welcome["resume"], aya.welcome["session"], TOKEN]
    assert [secret for secret in secrets if secret in written] == []
    assert "private" not in written.lower()


# Life and readiness


class _AwayBus:
    def __init__(self) -> None:
        self._bus = InProcessBus().instance("x")
        self.gauges = self._bus.gauges
        self.problem: str | None = None

    async def check(self) -> str | None:
        return self.problem


async def test_a_relay_that_cannot_serve_newcomers_lives_and_is_not_ready(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    from relay import readiness

    monkeypatch.setattr(readiness, "FRESH_S", 0)
    assert (await ask(relay, "/ready")).json() == {"status": "ready"}

    async def refuse(rooms: object) -> dict[str, int]:
        raise Refused(Why.UNAVAILABLE)

    with monkeypatch.context() as away:
        away.setattr(relay.state, "occupancy", refuse)
        answer = await ask(relay, "/ready")
        assert answer.status_code == 503
        assert answer.json() == {"status": "not-ready", "away": ["state"]}
    bus = _AwayBus()
    monkeypatch.setattr(relay.relay._readiness, "_bus", bus)
    bus.problem = "Pub/Sub says no to my-secret-project."
    answer = await ask(relay, "/ready")
    assert answer.json() == {"status": "not-ready", "away": ["bus"]}
    bus.problem = None
    assert (await ask(relay, "/ready")).status_code == 200
    relay.relay.hub.draining = True
    assert (await ask(relay, "/ready")).json()["away"] == ["draining"]
    assert (await ask(relay, "/live")).status_code == 200


async def test_strangers_who_ask_often_do_not_make_work_each_time(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(relay, "/ready")
    before = relay.state.gauges.calls
    for _ in range(5):
        assert (await ask(relay, "/ready")).status_code == 200
    assert relay.state.gauges.calls == before
