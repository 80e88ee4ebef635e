"""The smoke test of a deployment: it tells a V-Chat that works from one that does not."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.components import free_port
from tests.processes import ROOT, local


@pytest.fixture(scope="module", name="address")
def _address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with local(tmp_path_factory.mktemp("data") / "v-chat") as running:
        yield running.url


def smoke(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.tools.smoke", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_two_people_meet_in_a_v_chat_that_works(address: str) -> None:
    done = smoke(f"{address}/api", "--origin", address)
    assert done.returncode == 0, done.stderr
    assert "one spoke, the other heard it" in done.stdout


def test_it_clears_up_after_itself(address: str) -> None:
    assert "could not clear up" not in smoke(f"{address}/api", "--origin", address).stdout


def test_a_relay_that_refuses_is_told_with_its_reason(address: str) -> None:
    done = smoke(f"{address}/api", "--origin", "https://elsewhere.example")
    assert done.returncode == 1
    assert "4307" in done.stderr


@pytest.mark.parametrize("base", ["", "/nothing"])
def test_an_address_without_an_api_is_told(address: str, base: str) -> None:
    done = smoke(address + base, "--origin", address)
    assert done.returncode == 1
    assert "POST /auth/guest answered 40" in done.stderr


def test_nobody_there_is_told() -> None:
    done = smoke(f"http://127.0.0.1:{free_port()}", "--origin", "https://chat.example.com")
    assert done.returncode == 1
    assert "did not come through" in done.stderr
