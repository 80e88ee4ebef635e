"""The measurements work: every scenario is played once, small and short, and what it says is whole.
How fast anything was is not looked at."""

import json
import shutil
import subprocess

import pytest

from bench import report
from bench.load import Work, measure
from bench.report import Measure
from bench.servers import BUILT, HERE, OURS, SERVERS, redis_running

pytestmark = pytest.mark.skipif(
    not all(shutil.which(tool) for tool in ("cc", "taskset", "redis-server")),
    reason="needs a C compiler, taskset and redis-server",
)


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    BUILT.mkdir(parents=True, exist_ok=True)
    for name, source in (("load", "load.c"), ("floor", "peers/floor.c")):
        subprocess.run(["cc", "-O2", "-o", BUILT / name, HERE / source, "-lm"], check=True)


@pytest.fixture(scope="module", name="redis")
def _redis():
    with redis_running() as port:
        yield port


def _played() -> list[tuple[str, str]]:
    ours = [(OURS, mode) for mode in ("pose", "walk", "chat", "idle")]
    peers = [
        (name, "chat" if server.socketio else "pose")
        for name, server in SERVERS.items()
        if name != OURS
    ]
    return [*ours, *peers, ("Go nhooyr merging", "chat")]


@pytest.mark.parametrize(("name", "mode"), _played())
def test_every_server_plays_its_part(name, mode, redis):
    server = SERVERS[name]
    if server.missing is not None:
        pytest.skip(f"{server.missing} is not installed")

    counted = measure(server, Work(mode, 2, 5, 10, warmup=0.3, seconds=0.7), redis).counted

    assert counted["clients"] == 10
    assert counted["closed"] == counted["unsent"] == 0
    assert (counted["deliveries"] > 0) is (mode != "idle")


def test_poses_are_counted_for_others_and_once(redis):
    counted = measure(SERVERS[OURS], Work("pose", 2, 5, 10, warmup=0.5, seconds=1), redis).counted

    # Each of 10 clients sends 10 and 4 hear it; a tick at either end may fall outside.
    assert counted["sent"] == pytest.approx(100, abs=2)
    assert counted["deliveries"] == pytest.approx(400, abs=60)


def test_results_name_what_is_missing_and_keep_the_page_around_the_table(tmp_path, monkeypatch):
    page, results = tmp_path / "performance.md", tmp_path / "results.json"
    page.write_text("before\n<!-- measured -->\nold\n<!-- /measured -->\nafter\n")
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr(report, "RESULTS", results)
    measures = [
        Measure("chat_p99_ms_1000", "ms", "lower", {OURS: [4.0, 2.0, 3.0], "Peer": [6.0]}),
        Measure("pose_bytes_idle", "bytes", "lower", {OURS: [17.5]}),
    ]

    report.write(measures, {"Absent": "go"}, ["Peer: noisy"], short=True)

    written = json.loads(results.read_text())
    assert written["measures"]["chat_p99_ms_1000"]["ours"] == 3.0
    assert written["measures"]["chat_p99_ms_1000"]["peers"] == {"Peer": 6.0}
    assert written["measures"]["chat_p99_ms_1000"]["better"] == "lower"
    assert written["missing"] == {"Absent": "go"}
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "3.00 (2.00 to 4.00)" in text
    assert "2.00 × as good" in text
    assert "Absent" in text
