"""`make run`'s process: one command, no services, and clear words when it cannot start."""

import asyncio
import re
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from tests.components import do_without, need
from tests.people import Person
from tests.processes import ROOT, environment, local
from tests.relays import open_socket
from vchat import ticks

ELSEWHERE = "http://localhost:5173"


@pytest.fixture(scope="module", name="server")
def _server(tmp_path_factory):
    with local(tmp_path_factory.mktemp("house") / "data", VCHAT_ORIGINS=ELSEWHERE) as server:
        yield server


@pytest.fixture(name="http")
async def _http(server):
    async with httpx.AsyncClient(base_url=f"{server.url}/api", verify=False) as http:
        yield http


async def test_two_people_meet_with_nothing_but_the_one_process(http):
    aya, ben = [await Person.guest(http, name) for name in ("Aya", "Ben")]
    room = await aya.make_room()
    here, there = await aya.join(room["id"]), await ben.join(room["id"])
    await here.send(type="chat", id="m", text="hello")
    assert (await there.text("chat"))["text"] == "hello"
    await here.pose(1, b"\xc8hi")
    assert (await there.tick())[1] == [(here.welcome["seat"], 1, b"\xc8hi")]
    listed = (await http.get("/rooms")).json()["items"]
    assert (room["id"], 2) in [(one["id"], one["occupancy"]) for one in listed]
    members = (await aya.call("GET", f"/rooms/{room['id']}/members")).json()["items"]
    assert {member["name"] for member in members} == {"Aya", "Ben"}


async def test_moderation_over_http_acts_on_the_socket(http):
    aya, ben = [await Person.guest(http, name) for name in ("Aya", "Ben")]
    room = await aya.make_room()
    path = f"/rooms/{room['id']}"
    here, there = await aya.join(room["id"]), await ben.join(room["id"])
    ben_id = ben.session["user"]["id"]

    kick = await aya.call("POST", f"{path}/moderation", {"action": "kick", "userId": ben_id})
    assert kick.status_code == 204, kick.text
    closed = await there.closed()
    assert (closed.code, closed.bye["reason"]) == (4301, "kicked")
    assert (await here.text("left"))["reason"] == "kicked"
    again = await ben.call("POST", f"{path}/tickets", {})
    assert (again.status_code, again.json()["code"]) == (403, "kicked")

    assert (await aya.call("DELETE", path)).status_code == 204
    assert (await here.closed()).code == 4303
    assert (await aya.call("POST", f"{path}/tickets", {})).status_code == 410


async def test_the_page_comes_with_a_policy_that_keeps_it_to_its_own_origin(server):
    async with httpx.AsyncClient(base_url=server.url, verify=False) as http:
        page = await http.get("/")
        module = await http.get("/client/index.js")
        source = await http.get("/demo/../local/__main__.py")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "amazonaws" not in policy  # nobody signs in at VRoid Hub here
    assert module.headers["content-type"].startswith("text/javascript")
    for answer in (page, module):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-cache"
    assert '<meta name="referrer" content="same-origin">' in page.text  # addresses hold invites
    assert (source.status_code, source.json()["code"]) == (404, "not-found")


async def test_a_page_from_a_development_server_of_its_own_may_come_too(server, http):
    asks = {"Origin": ELSEWHERE, "Access-Control-Request-Method": "POST"}
    preflight = await http.options("/auth/guest", headers=asks)
    assert preflight.headers["access-control-allow-origin"] == ELSEWHERE
    aya = await Person.guest(http, "Aya")
    path = f"/rooms/{(await aya.make_room())['id']}/tickets"
    for origin in (ELSEWHERE, server.url):
        ticket = (await aya.call("POST", path, {})).json()
        browser = await open_socket(ticket["url"], additional_headers={"Origin": origin})
        await browser.send(type="hello", ticket=ticket["ticket"])
        assert (await browser.text())["type"] == "welcome"


WHAT_BROWSERS_HAVE = """
import { WebSocket } from "%s/ws/wrapper.mjs";
class Kept extends Map {
  getItem = (key) => this.get(key) ?? null;
  setItem = this.set;
  removeItem = this.delete;
}
const given = { WebSocket, localStorage: new Kept(), sessionStorage: new Kept() };
for (const name in given) Object.defineProperty(globalThis, name, { value: given[name] });
"""


def test_what_the_sdks_readme_begins_with_runs_as_it_is(tmp_path):
    client = ROOT / "client"
    if not (client / "node_modules" / "ws").exists():
        do_without("the SDK's own packages are missing: make client-check")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "vchat-client").symlink_to(client)  # as `npm i` does with a folder
    (tmp_path / "browser.mjs").write_text(WHAT_BROWSERS_HAVE % (client / "node_modules"))
    example = re.search(r"```js\n(.*?)```", (client / "README.md").read_text(), re.DOTALL)
    with local(tmp_path / "data") as server:
        program = example[1].replace("http://localhost:8080", server.url)
        (tmp_path / "page.mjs").write_text(program + "await room.leave(); process.exit();")
        for _ in range(2):  # on a server without a room, and with one
            said = subprocess.run(
                [need("node"), "--import", "./browser.mjs", "page.mjs"],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            assert (said.returncode, said.stderr) == (0, "")
            assert said.stdout.splitlines()[-2:] == ["Yuki hello", "left "]
        rooms = httpx.get(f"{server.url}/api/rooms").json()["items"]
    assert [room["name"] for room in rooms] == ["Hello"]


async def test_what_people_made_survives_a_restart(tmp_path):
    data = tmp_path / "data"
    with local(data) as server:
        async with httpx.AsyncClient(base_url=f"{server.url}/api", verify=False) as http:
            aya = await Person.guest(http, "Aya")
            room = await aya.make_room()
            keys = (await http.get("/.well-known/jwks.json")).json()
        assert server.end() == 0
        port = int(server.url.rsplit(":", 1)[1])
    with local(data, port) as server:
        async with httpx.AsyncClient(base_url=f"{server.url}/api", verify=False) as http:
            again = Person(http, aya.session)
            assert (await again.call("GET", "/me")).json()["name"] == "Aya"
            assert (await http.get(f"/rooms/{room['id']}")).json()["name"] == "Atrium"
            assert (await http.get("/.well-known/jwks.json")).json() == keys
            assert (await again.join(room["id"])).welcome["role"] == "owner"


async def test_everybody_hears_of_the_end_before_the_process_goes(tmp_path):
    with local(tmp_path / "data") as server:
        async with httpx.AsyncClient(base_url=f"{server.url}/api", verify=False) as http:
            aya = await Person.guest(http, "Aya")
            browser = await aya.join((await aya.make_room())["id"])
        server.process.send_signal(signal.SIGTERM)

        closed = await browser.closed()
        assert (closed.code, closed.bye["code"]) == (4001, 4001)
        assert await asyncio.to_thread(server.process.wait, 15) == 0


async def test_the_process_lets_go_of_what_it_called_and_ends_without_a_word(tmp_path):
    nowhere = {"LIVEKIT_URL": "ws://127.0.0.1:1", "LIVEKIT_API_KEY": "k"}
    with local(tmp_path / "data", **nowhere, LIVEKIT_API_SECRET="s" * 32) as server:
        async with httpx.AsyncClient(base_url=f"{server.url}/api", verify=False) as http:
            aya = await Person.guest(http, "Aya")
            room = await aya.make_room()
            assert (await aya.call("DELETE", f"/rooms/{room['id']}")).status_code == 204
        assert await asyncio.to_thread(server.end) == 0
    said = (tmp_path / "data.log").read_text()
    assert "voice call not told" in said  # so it was called
    assert "ERROR" not in said


def refused_start(tmp_path, **changes: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "local"],
        cwd=ROOT,
        env=environment(VCHAT_DATA=str(tmp_path / "data"), **changes),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_a_taken_port_is_one_clear_sentence(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = refused_start(tmp_path, PORT=port)
    assert f"Port {port} cannot be used" in said
    assert "make run PORT=" in said


def test_a_data_folder_that_is_a_file_is_one_clear_sentence(tmp_path):
    (tmp_path / "data").write_text("not a folder")
    sentence = f"The data folder {tmp_path / 'data'} is a file, not a folder."
    assert refused_start(tmp_path, PORT="0").splitlines()[1:] == [sentence]


def test_a_broken_data_file_is_one_clear_sentence(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "vchat.db").write_bytes(b"this is no database" * 100)
    assert "vchat.db" in refused_start(tmp_path, PORT="0")


def test_every_wrong_setting_is_named_at_once(tmp_path):
    assert "PORT must be a whole number" in refused_start(tmp_path, PORT="eighty")


async def test_fifty_people_at_twenty_hertz_see_everyone_and_lose_nothing(http):
    """The real process, 50 browsers moving at 20 Hz and talking, for five seconds."""
    host = await Person.guest(http, "Host")
    room = await host.make_room(capacity=50)
    people = [await Person.guest(http, f"User {n}") for n in range(50)]
    browsers = [await person.join(room["id"]) for person in people]
    seats = {browser.welcome["seat"] for browser in browsers}
    assert len(seats) == 50
    loop = asyncio.get_running_loop()
    end = loop.time() + 5
    chats = 2

    async def act(n: int) -> None:
        for seq in range(100):
            await browsers[n].pose(seq, b"\xc8" + seq.to_bytes(2, "little"))
            if seq % 50 == 25:
                await browsers[n].send(type="chat", id=f"m{seq}", text=f"{n} at {seq}")
            await asyncio.sleep(max(0.0, end - 5 + seq * 0.05 - loop.time()))

    async def watch(n: int) -> tuple[list[int], dict[int, int]]:
        offsets, last = [], {}
        while len(offsets) < 50 * chats or set(last.values()) != {99} or len(last) < 50:
            frame = await browsers[n].next(30)
            if isinstance(frame, bytes):
                last.update({seat: seq for seat, seq, _ in ticks.parse_tick(frame)[3]})
            elif frame["type"] == "chat":
                offsets.append(frame["offset"])
        return offsets, last

    done = await asyncio.gather(*(watch(n) for n in range(50)), *(act(n) for n in range(50)))
    histories = [result[0] for result in done[:50]]
    first = max(browser.welcome["head"] for browser in browsers)
    assert all(history == histories[0] for history in histories)
    assert histories[0] == list(range(first + 1, first + 1 + 50 * chats))
    assert all(result[1].keys() == seats for result in done[:50])
