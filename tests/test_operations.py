"""What an operator runs by hand: keys turn over without signing anybody out, costs add up."""

import json
import re
import sys
from pathlib import Path

import pytest

from infra.tools import cost, inputs, rotate
from infra.tools.cost import Load
from vchat.keys import dump_ring, load_ring, new_ring

ROOT = Path(__file__).resolve().parents[1]
PRICES = json.loads((ROOT / "infra" / "prices.json").read_text())


def test_keys_turn_over_without_a_moment_in_which_a_good_token_is_refused() -> None:
    first = new_ring()
    added = rotate.rotated(first, "add")
    assert added.kid == first.kid, "a key that nobody knows yet must not sign"
    turned = rotate.rotated(added, "turn")
    assert turned.kid != first.kid
    assert set(turned.keys) == set(added.keys), "tokens of the old key are still good"
    assert list(rotate.rotated(turned, "drop").keys) == [turned.kid]


@pytest.mark.parametrize("step", ["turn", "drop"])
def test_the_only_key_cannot_be_taken_away(step: str) -> None:
    with pytest.raises(ValueError, match="one key only"):
        rotate.rotated(new_ring(), step)


def test_the_command_turns_the_keys_of_a_file_and_shows_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    file.write_text(dump_ring(new_ring()))
    monkeypatch.setattr(sys, "argv", ["rotate", "add", "--file", str(file)])
    rotate.main()
    ring = load_ring(file.read_text())
    assert len(ring.keys) == 2
    assert capsys.readouterr().out == f"{ring.kid} signs, 1 more published.\n"


def test_what_is_no_key_set_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    file.write_text("verysecret")
    monkeypatch.setattr(sys, "argv", ["rotate", "add", "--file", str(file)])
    with pytest.raises(SystemExit, match="not changed") as ended:
        rotate.main()
    assert "verysecret" not in str(ended.value)
    assert file.read_text() == "verysecret"


def test_the_tables_of_the_cost_page_are_what_the_command_prints() -> None:
    """After a change of prices: python -m infra.tools.cost --tables, between the two marks."""
    page = (ROOT / "docs" / "cost.md").read_text()
    shown = page.partition("<!-- tables -->\n")[2].partition("<!-- end of tables -->")[0]
    assert shown == cost.tables(PRICES)


def test_nobody_costs_next_to_nothing() -> None:
    assert sum(cost.own(Load(0, 0, 0, 0), PRICES).values()) < 0.10


def test_more_of_anything_never_costs_less() -> None:
    base = Load(10, 8, 90, 20)
    more = [Load(20, 8, 90, 20), Load(10, 16, 90, 20), Load(10, 8, 180, 20), Load(10, 8, 90, 30)]
    for load in more:
        before, after = cost.own(base, PRICES), cost.own(load, PRICES)
        assert all(after[item] >= before[item] for item in before)
        assert sum(after.values()) > sum(before.values())


def test_what_is_free_is_free_and_steps_are_charged_one_after_the_other() -> None:
    price = {"price": 2.0, "free": 10}
    assert cost.charged(price, 10) == 0
    assert cost.charged(price, 11) == 2.0
    steps = {"price": [[10, 1.0], [20, 0.5], [None, 0.25]], "free": 0}
    assert cost.charged(steps, 30) == 10 + 5 + 2.5


def test_traffic_is_one_merged_frame_for_each_person_and_tick() -> None:
    one_second = Load(1, 2, 1 / 3600, 1)
    frame = cost.TICK_BYTES + 2 * (cost.ENTRY_BYTES + cost.POSE_BYTES) + cost.WIRE_BYTES
    assert one_second.sent_gib * 2**30 == pytest.approx(2 * frame)


def test_every_price_names_its_source_and_its_date() -> None:
    entries = [*PRICES["google"].values(), *PRICES["redis"].values(), *PRICES["others"].values()]
    for entry in entries:
        assert entry["source"]
        assert re.fullmatch(r"20\d\d-\d\d", entry["date"])
        assert isinstance(entry["checked"], bool)


def test_counted_bytes_become_dollars_for_each_room() -> None:
    assert "0.1200 USD, 0.0600 for each room" in cost.live(2**30, 3600, 2, PRICES)


def test_the_page_lists_every_input_as_it_is() -> None:
    """After a change of variables.tf: python -m infra.tools.inputs, between the two marks."""
    page = (ROOT / "docs" / "deploy.md").read_text()
    shown = page.partition("<!-- inputs -->\n")[2].partition("<!-- end of inputs -->")[0]
    assert shown == inputs.table()
    variables = (ROOT / "infra" / "terraform" / "variables.tf").read_text()
    names = re.findall(r'^variable "(\w+)"', variables, re.MULTILINE)
    assert names == sorted(names)
    assert shown.count("\n") == len(names) + 2


def test_every_make_target_that_a_page_names_exists() -> None:
    makefiles = "".join(
        path.read_text() for path in (ROOT / "Makefile", ROOT / "infra" / "deploy.mk")
    )
    targets = set(re.findall(r"^([a-z-]+):", makefiles, re.MULTILINE))
    for name in ("deploy.md", "operations.md", "cost.md"):
        page = (ROOT / "docs" / name).read_text()
        used = set(re.findall(r"(?:^    |`)make ([a-z-]+)", page, re.MULTILINE))
        assert used
        assert used <= targets


def test_a_relay_as_terraform_makes_it_by_default_holds_its_sockets_with_half_to_spare() -> None:
    """What docs/performance.md measured, the cost estimate and the variables say the same."""
    variables = (ROOT / "infra" / "terraform" / "variables.tf").read_text()
    relay = variables.partition('variable "relay" {')[2].partition("\nvariable ")[0]
    default = dict(re.findall(r'(\w+)\s*= optional\(\w+, "?(\w+)"?\)', relay))
    assert float(default["sockets"]) == cost.SOCKETS
    assert float(default["cpu"]) == cost.CPU
    assert default["memory"] == f"{cost.GIB * 1024:.0f}Mi"

    page = (ROOT / "docs" / "performance.md").read_text()
    (cores,) = re.findall(r"A person costs about ([\d.]+) core", page)
    ((process_mb, connection_kb),) = re.findall(
        r"about (\d+) MB for the process and (\d+) KB a connection", page
    )
    assert cost.SOCKETS * float(cores) <= cost.CPU / 2
    memory_mb = float(process_mb) + cost.SOCKETS * float(connection_kb) / 1024
    assert memory_mb <= cost.GIB * 1024 / 2
