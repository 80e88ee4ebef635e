"""The operator's tools against real relays: looking on, recording, replaying, soaking."""

import asyncio
import io
import itertools
import json
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from bench import motion
from console import recording
from console.account import Account, Trouble
from console.bot import Habits
from console.census import census
from console.ledger import Ledger
from console.recording import Recorder, synthetic
from console.seat import Ended, Seat
from console.server import OwnServer, own_server
from console.soak import Report, Wish, soak
from console.watch import Watch
from tests.meeting import Meeting
from tests.meeting import _meeting as _meeting
from vchat import limits
from vchat.pose import PoseDecoder, PoseEncoder
from vchat.ticks import parse_pose

BODY = bytes([200, 1, 2, 3])


@pytest.fixture(name="http")
async def _http(meeting: Meeting) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=meeting.api.base, verify=False) as http:
        yield http


# Looking on


async def test_a_spectator_sees_who_comes_speaks_and_goes_and_is_told_no_words(
    meeting: Meeting, http: httpx.AsyncClient
) -> None:
    owner = await meeting.api.guest("Aya")
    room = await owner.room()
    lines: list[str] = []
    watch = Watch(await Account.guest(http, "Observer"), room, lines.append)
    looking = asyncio.create_task(watch.look())
    await _until(lambda: any("Observer" in line for line in lines))
    aya = await meeting.join(room, owner)
    assert [one["role"] for one in aya.welcome["members"]] == ["spectator", "owner"]
    await aya.send(type="chat", id="1", text="a secret")
    await aya.send(type="leave")
    await _until(lambda: any(" left " in line for line in lines))
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    said = "\n".join(lines)
    assert "joined seat 2 Aya" in said
    assert "chat seat 2 Aya: 8 characters" in said
    assert "left seat 2 Aya: left" in said
    assert "secret" not in said


async def test_what_strangers_say_cannot_steer_the_terminal_of_who_looks_on(
    meeting: Meeting, http: httpx.AsyncClient
) -> None:
    owner = await meeting.api.guest("A👩\u200d🚀")
    room = await owner.room()
    lines: list[str] = []
    watch = Watch(await Account.guest(http, "Observer"), room, lines.append, words=True)
    looking = asyncio.create_task(watch.look())
    await _until(lambda: any("Observer" in line for line in lines))
    aya = await meeting.join(room, owner)
    await aya.send(type="chat", id="1", text="one\n12:00:00 two")
    await _until(lambda: any(" chat " in line for line in lines))
    # What no relay of ours lets through.
    watch._tell({"type": "signal", "time": 0, "seat": 2, "signal": "\x1b]0;mine\x07\u202e"})
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    assert all(line.isprintable() for line in lines)
    assert any(line.endswith(r"A👩\u200d🚀: one\n12:00:00 two") for line in lines)
    assert lines[-1].endswith(r"\x1b]0;mine\x07\u202e")


async def test_a_spectator_comes_back_when_the_connection_is_lost(
    meeting: Meeting, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.watch._AGAIN_S", 0.01)
    owner = await meeting.api.guest("Aya")
    room = await owner.room()
    aya = await meeting.join(room, owner)
    lines: list[str] = []
    watch = Watch(await Account.guest(http, "Observer"), room, lines.append, words=True)
    looking = asyncio.create_task(watch.look())
    await aya.text("joined")
    await _until(lambda: any("Observer" in line for line in lines))
    (stay,) = (
        one for relay in meeting.relays for one in relay.relay.hub.stays() if one.me.seat == 2
    )
    stay.line._transport.abort()  # the network goes away
    await aya.send(type="chat", id="1", text="heard afterwards")
    await _until(lambda: any("heard afterwards" in line for line in lines))
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)


async def test_a_room_that_does_not_let_one_in_says_so(
    meeting: Meeting, http: httpx.AsyncClient
) -> None:
    owner = await meeting.api.guest("Aya")
    room = await owner.room(visibility="private")
    watch = Watch(await Account.guest(http, "Observer"), room, print)
    with pytest.raises(Trouble, match="invite-required"):
        await watch.look()


async def test_operators_see_every_room_in_use_and_who_holds_it(
    meeting: Meeting, http: httpx.AsyncClient
) -> None:
    owner = await meeting.api.guest("Aya")
    room, empty = await owner.room(visibility="private"), await owner.room()
    await meeting.join(room, owner)
    redis: Redis = meeting.services.state._redis
    (found,) = await census(redis)
    assert (found.room_id, found.people, found.away) == (room, 1, 0)
    relay = meeting.relays[0].relay._services
    assert found.relays == {relay.name: 1}
    assert found.instances == {relay.instance}
    assert [one["id"] for one in await Account(http, "").rooms()] == [empty]


async def test_the_command_prints_rooms_and_explains_an_address_that_is_none(
    meeting: Meeting,
) -> None:
    owner = await meeting.api.guest("Aya")
    room = await owner.room()
    code, out, _ = await _command("rooms", "--api", meeting.api.base)
    assert (code, room in out) == (0, True)
    code, _, problem = await _command("rooms", "--api", "http://127.0.0.1:9")
    assert code == 1
    assert "did not come through" in problem
    assert "Traceback" not in problem


async def _command(*words: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "console",
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
    )
    out, problem = await process.communicate()
    return process.returncode, out.decode(), problem.decode()


async def _until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not done():  # noqa: ASYNC110 - printed, not announced
            await asyncio.sleep(0.01)


# Recordings


def test_a_track_that_repeats_can_be_decoded_without_end() -> None:
    track = synthetic("dance", 20, seed=3)
    decoder = PoseDecoder()
    shown = []
    for _, seq, frame in itertools.islice(track.frames(), 3 * len(track.poses)):
        told, body = parse_pose(frame)
        assert told == seq
        shown.append(decoder.decode(body, seq))
    assert not decoder.needs_keyframe
    assert shown[: len(track.poses)] == shown[len(track.poses) : 2 * len(track.poses)]
    seqs = [seq for _, seq, _ in itertools.islice(track.frames(), 3 * len(track.poses))]
    assert all(0 < (b - a) & 0xFFFF < 0x8000 for a, b in itertools.pairwise(seqs))


def test_a_recording_plays_back_what_was_seen_whoever_was_missed(tmp_path: Path) -> None:
    encoder, seen = PoseEncoder(), {}
    file = tmp_path / "motion.jsonl"
    with file.open("w") as text:
        recorder = Recorder(text)
        for number, pose in enumerate(motion.poses("walk", 8, hz=20, seed=2)):
            seq = (65500 + number) & 0xFFFF  # which wraps on its way
            body = encoder.encode(pose, seq)
            if body is not None and number > 5 and number % 7:  # ticks were merged or missed
                seen[number] = body
                recorder.write(100 + number / 20, [(4, seq, body)])
    (track,) = recording.read(file)
    bodies = list(seen.values())
    assert [body for _, _, body in track.poses] == bodies[-len(track.poses) :]
    assert len(track.poses) > 100
    decoder = PoseDecoder()
    frames = itertools.islice(track.frames(), 2 * len(track.poses))
    decoded = []
    for _, seq, frame in frames:
        pose = decoder.decode(parse_pose(frame)[1], seq)
        decoded.append(None if decoder.needs_keyframe else pose)
    # A delta whose keyframe was missed cannot be shown; the same ones in every turn.
    first, second = decoded[: len(track.poses)], decoded[len(track.poses) :]
    assert first == second
    assert sum(pose is not None for pose in first) > 0.5 * len(first)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no recording"),
        ('{"format":"other"}\n', "no recording"),
        ('{"format":"vchat-motion","version":9}\n', "version 9"),
        ('{"format":"vchat-motion","version":1}\n', "nobody who moves"),
        ('{"format":"vchat-motion","version":1}\n[0,1,"x"]\n', "line 2"),
        ('{"format":"vchat-motion","version":1}\n[0,1,2,"%"]\n', "line 2"),
    ],
)
def test_what_is_no_recording_is_refused_with_the_reason(
    text: str, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "motion.jsonl"
    file.write_text(text)
    with pytest.raises(ValueError, match=problem):
        recording.read(file)


async def test_what_a_spectator_records_is_what_was_shown(
    meeting: Meeting, http: httpx.AsyncClient
) -> None:
    owner = await meeting.api.guest("Aya")
    room = await owner.room()
    aya = await meeting.join(room, owner)
    text = io.StringIO()
    lines: list[str] = []
    watch = Watch(
        await Account.guest(http, "Observer"), room, lines.append, recorder=Recorder(text)
    )
    looking = asyncio.create_task(watch.look())
    await aya.text("joined")
    await _until(lambda: bool(lines))
    seq = 0
    while text.getvalue().count("\n") < 4:
        seq += 1
        await aya.pose(seq, BODY)
        await aya.tick()
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    head, *poses = map(json.loads, text.getvalue().splitlines())
    assert head == {"format": "vchat-motion", "version": 1}
    assert {(seat, body) for _, seat, _, body in poses} == {(1, "yAECAw==")}


# The soak


async def test_a_soak_of_seconds_loses_nothing_though_people_come_and_go(
    meeting: Meeting,
) -> None:
    wish = Wish(2, 3, minutes=0.08, hz=20, habits=Habits(chat_s=0.2, vanish_s=1.0, leave_s=2.0))
    report = await soak(meeting.api.base, wish, lambda line: None)
    told = json.loads(report.line())
    assert (told["lost"], told["repeated"], told["swapped"]) == (0, 0, 0)
    assert told["acked"] > 20
    assert told["returns"] > 2
    assert report.problems == Counter()
    assert report.settled


async def test_a_soak_finds_what_a_connection_swallows(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Seat.frames
    chance = random.Random(1)

    async def holed(seat: Seat) -> AsyncIterator[object]:
        async for frame in whole(seat):
            if not (isinstance(frame, dict) and "offset" in frame and chance.random() < 0.2):
                yield frame

    monkeypatch.setattr(Seat, "frames", holed)
    monkeypatch.setattr("console.soak.SETTLE_S", 0.5)
    wish = Wish(1, 3, minutes=0.05, hz=5, habits=Habits(chat_s=0.1, vanish_s=60, leave_s=60))
    report = await soak(meeting.api.base, wish, lambda line: None)
    assert json.loads(report.line())["lost"] > 0
    assert not report.good


@pytest.mark.parametrize(("minutes", "flat"), [(60, True), (30, True), (4, False)])
def test_growth_is_counted_from_when_the_server_remembers_all_it_will(
    minutes: int, flat: bool
) -> None:
    filling_s = limits.DEDUPE_S + 60

    def memory_kb(at: float) -> int:
        return 50_000 + round(min(at, filling_s) * 50_000 / filling_s)

    report = Report(Wish(1, 1, minutes=minutes, hz=20), [], [], minutes * 60, settled=True)
    report.memory_kb = [(at, memory_kb(at)) for at in range(0, minutes * 60, 5)]
    growth = report.memory_growth_pct
    assert growth is not None
    assert (growth < 0.01) is flat  # in less time it is still filling, and that is to be seen


async def test_a_server_of_ones_own_answers_and_tells_what_it_needs():
    async with own_server() as server:
        async with httpx.AsyncClient(base_url=server.address, verify=False) as http:
            assert await Account(http, "").rooms() == []
        assert server.memory_kb() > 20_000
        assert server.lines == []
    with pytest.raises(Trouble, match="has ended"):
        server.memory_kb()


async def test_a_server_of_ones_own_that_cannot_start_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Trouble, match=r"did not start(?s:.*)Redis is missing: install it"):
        async with own_server(relays=1):
            pass


def test_of_what_its_own_server_logs_a_soak_shows_what_nobody_expected(tmp_path):
    server = OwnServer(tmp_path)
    expected = '{"severity": "INFO", "message": "ready"}'
    strange = ['{"severity": "WARNING", "message": "Redis is away"}', "Traceback (most recent"]
    (tmp_path / "relay-1.log").write_text(f"{expected}\n{strange[0]}\n")
    (tmp_path / "functions.log").write_text(f"{strange[1]}\n")
    (tmp_path / "pubsub.log").write_text("the emulator's own words\n")
    assert sorted(server.lines) == sorted(strange)


async def test_bots_move_as_a_recording_does(meeting: Meeting) -> None:
    track = synthetic("walk", 20, seed=5)
    wish = Wish(1, 2, minutes=0.03, hz=20, tracks=(track,))
    report = await soak(meeting.api.base, wish, lambda line: None)
    assert report.good, report.problems
    assert report.ledgers[0].gaps.tenths


def test_the_ledger_knows_a_hole_a_repetition_and_a_swap() -> None:
    ledger = Ledger("e")
    ledger.sent["a"] = 1.0
    assert ledger.event(1, 2, "a", 1.5) == 2
    assert (ledger.lost, ledger.repeated, ledger.swapped) == (0, 0, 0)
    assert ledger.event(2, 2, "a", 2.0) == 2
    assert ledger.event(2, 5, "b", 2.0) == 5
    assert ledger.event(4, 5, "c", 2.0) == 5
    assert (ledger.lost, ledger.repeated, ledger.swapped) == (2, 1, 1)
    assert ledger.chats.quantile(0.5) == 500.0


def test_the_ledger_misses_what_was_acknowledged_and_never_heard() -> None:
    ledger = Ledger("e")
    ledger.event(0, 1, "a", 0.0)
    ledger.ack(1, "a")
    ledger.ack(2, "b")
    ledger.close([1, 2])
    assert ledger.lost == 2  # somebody did not hear it, and nobody did


async def test_a_sign_in_that_ran_out_is_renewed_once_for_all_who_need_it(
    meeting: Meeting, http: httpx.AsyncClient
) -> None:
    account = await Account.guest(http, "Aya")
    room = await account.make_room("Hall", 2)
    account._token = account._token[:-8] + "AAAAAAAA"  # as one that has expired
    tickets = await asyncio.gather(*(account.ticket(room) for _ in range(3)))
    assert len({one.ticket for one in tickets}) == 3
    await account.call("DELETE", "/me")
    with pytest.raises(Trouble, match="renewed"):
        await account.ticket(room)


async def test_a_relay_that_refuses_says_why(meeting: Meeting, http: httpx.AsyncClient) -> None:
    account = await Account.guest(http, "Aya")
    room = await account.make_room("Hall", 2)
    ticket = await account.ticket(room)
    await (await Seat.take(ticket.url, ticket=ticket.ticket)).leave()
    with pytest.raises(Ended) as used:
        await Seat.take(ticket.url, ticket=ticket.ticket)
    assert (used.value.code, used.value.resumable, used.value.final) == (4101, False, False)
    with pytest.raises(Ended) as gone:
        await Seat.take("ws://127.0.0.1:9/rooms/x", ticket="x")
    assert gone.value.resumable
