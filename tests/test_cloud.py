"""`make cloud`: Google's parts as emulators, functions-framework, and two relays."""

import asyncio
import os
import signal
import socket
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from local.cloud import _running
from tests.components import free_port
from tests.emulators import installed
from tests.make_cloud import ELSEWHERE, STOP_S, start
from tests.people import Person
from tests.relays import Browser, open_socket

Being = tuple[int, str]
"""A process: its number, which another may have later, and when it began."""


def beings() -> dict[Being, int]:
    """Every process there is, with its parent's number."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            found[int(stat.parent.name), fields[19]] = int(fields[1])
    return found


def descendants(pid: int) -> set[Being]:
    """Every process under one, however deep."""
    parents, below = beings(), set[Being]()
    while (
        more := {one for one, above in parents.items() if above in {pid, *(of for of, _ in below)}}
        - below
    ):
        below |= more
    return below


def alive(seen: set[Being]) -> set[Being]:
    """Who is there still, when those that end by themselves had time to: gcloud's own, say."""
    end = time.monotonic() + STOP_S
    while there := seen & beings().keys():
        if time.monotonic() > end:
            break
        time.sleep(0.05)
    return there


async def moves(mover: Browser, watcher: Browser, body: bytes) -> None:
    """One moves until the other has seen it."""

    async def move() -> None:
        seq = 0
        while True:
            seq += 1
            await mover.pose(seq, body)
            await asyncio.sleep(0.05)

    moving = asyncio.create_task(move())
    try:
        while (mover.welcome["seat"], body) not in {
            (seat, seen) for seat, _, seen in (await watcher.tick(15))[1]
        }:
            pass
    finally:
        moving.cancel()


async def test_a_room_on_two_relays_outlives_either_and_nothing_is_left_running(cloud):
    async with httpx.AsyncClient(base_url=f"{cloud.url}/api", timeout=15) as http:
        aya, ben = [await Person.guest(http, name) for name in ("Aya", "Ben")]
        room = await aya.make_room()
        allowed = (await http.get("/rooms", headers=ELSEWHERE)).headers
        assert allowed["access-control-allow-origin"] == ELSEWHERE["Origin"]
        path = f"/rooms/{room['id']}/tickets"
        first = (await aya.call("POST", path, {})).json()["url"]
        here = await aya.join(room["id"])
        there = await ben.join(room["id"], avoid=[first])
        relays = (here.welcome["relay"], there.welcome["relay"])
        assert set(relays) == set(cloud.relays)

        # Both ways over the room's topic.
        await here.send(type="chat", id="a", text="from Aya")
        await there.send(type="chat", id="b", text="from Ben")
        for browser, text in ((there, "from Aya"), (here, "from Ben")):
            while (await browser.text("chat", 15))["text"] != text:
                pass
        await moves(here, there, b"\xc8a")
        await moves(there, here, b"\xc8b")

        # Aya's relay crashes while Ben talks; she goes on at his.
        members = (await ben.call("GET", f"/rooms/{room['id']}/members")).json()["items"]
        assert {one["relay"] for one in members} == set(relays)
        await there.send(type="chat", id="mark", text="mark")
        offset = (await here.text("chat", 15))["offset"]
        os.kill(cloud.relays[relays[0]], signal.SIGKILL)
        for n in range(5):
            await there.send(type="chat", id=f"m{n}", text=f"meanwhile {n}")
            await there.text("ack", 15)
        url = (await aya.call("POST", path, {"avoid": [first]})).json()["url"]
        back = await open_socket(url, additional_headers=ELSEWHERE)
        place = {"token": here.welcome["resume"], "epoch": here.welcome["epoch"], "offset": offset}
        await back.send(type="hello", resume=place)
        back.welcome = await back.text("welcome")
        assert (back.welcome["recovered"], back.welcome["relay"]) == (True, relays[1])
        assert (back.welcome["seat"], back.welcome["offset"]) == (here.welcome["seat"], offset)
        await there.send(type="chat", id="last", text="last")
        events = []
        while not events or events[-1].get("text") != "last":
            event = await back.text(seconds=15)
            if "offset" in event:
                events.append(event)
        assert [one["offset"] for one in events] == list(
            range(offset + 1, offset + 1 + len(events))
        )
        said = [one["text"] for one in events if one["type"] == "chat"]
        assert said == [*(f"meanwhile {n}" for n in range(5)), "last"]

    children = descendants(cloud.process.pid)
    assert len(children) >= 5
    cloud.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(cloud.process.wait, STOP_S) == 0
    assert alive(children) == set()


class Slow:
    """A server that is up only when somebody was asked to end."""

    def __init__(self, asked: threading.Event) -> None:
        self.asked, self.up = asked, False

    def start(self) -> None:
        assert self.asked.wait(5)
        time.sleep(0.05)
        self.up = True

    def stop(self) -> None:
        self.up = False


class Asked(Slow):
    """The moment of its start is when the end is asked for."""

    @property
    def start(self):
        self.asked.set()
        raise SystemExit


def test_a_server_that_was_about_to_start_when_the_end_was_asked_for_is_ended_as_well():
    asked = threading.Event()
    slow = Slow(asked)
    with pytest.raises(SystemExit), _running(slow, Asked(asked)):
        pass
    assert not slow.up


@pytest.mark.parametrize("children", [1, 4], ids=["emulators", "functions"])
def test_an_end_asked_for_while_it_starts_leaves_nothing_running(tmp_path, children):
    for kind in ("pubsub", "firestore", "redis"):
        installed(kind)
    relays = f"{free_port()},{free_port()}"
    with start(tmp_path, PORT=str(free_port()), RELAY_PORTS=relays) as process:
        seen: set[Being] = set()
        asked = False
        while process.poll() is None:
            seen |= descendants(process.pid)
            if len(seen) >= children and not asked:
                asked = True
                process.send_signal(signal.SIGINT)
            time.sleep(0.02)
        assert asked
        assert process.returncode == 0, (tmp_path / "cloud.log").read_text()
    assert alive(seen) == set()


def refused_start(folder: Path, **settings: str) -> str:
    process = start(folder, **settings)
    with process:
        process.communicate(timeout=60)
    said = (folder / "cloud.log").read_text()
    assert process.returncode == 1
    assert "Traceback" not in said
    return said


def test_everything_that_is_missing_is_named_at_once_with_what_to_install(tmp_path):
    said = refused_start(tmp_path, PATH=str(tmp_path))
    for words in ("pubsub-emulator", "cloud-firestore-emulator", "Java 17", "redis-server"):
        assert words in said


def test_a_java_too_old_is_named_with_what_it_said(tmp_path):
    for kind in ("pubsub", "firestore", "redis"):
        installed(kind)
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho UnsupportedClassVersionError: version 61.0 >&2\nexit 1\n")
    java.chmod(0o755)
    relays = f"{free_port()},{free_port()}"
    path = f"{tmp_path}:{os.environ['PATH']}"
    said = refused_start(tmp_path, PATH=path, PORT=str(free_port()), RELAY_PORTS=relays)
    assert "needs Java 17 or newer" in said
    log = tmp_path / "data" / "cloud" / "pubsub.log"
    assert str(log) in said
    assert "UnsupportedClassVersionError" in log.read_text()


def test_every_wrong_setting_is_named_at_once(tmp_path):
    said = refused_start(tmp_path, PORT="eighty", RELAY_PORTS="8091,8091")
    assert "PORT must be" in said
    assert "RELAY_PORTS cannot be used" in said


def test_a_data_folder_that_is_a_file_is_one_clear_sentence(tmp_path):
    data = tmp_path / "data"
    data.write_text("not a folder")
    assert f"{data} is a file, not a folder" in refused_start(tmp_path)


def test_a_taken_port_is_one_clear_sentence(tmp_path):
    for kind in ("pubsub", "firestore", "redis"):
        installed(kind)
    with ExitStack() as stack:
        taken = stack.enter_context(socket.socket())
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused_start(tmp_path, PORT=str(free_port()), RELAY_PORTS=f"{free_port()},{port}")
    assert f"Port {port} cannot be used" in said
    assert "RELAY_PORTS=" in said
