"""A server that cannot be reached is named with its setting at the start, whoever comes or not."""

import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from adapters.state_redis import RedisState, connect
from tests.components import free_port
from tests.faults.world import jwks
from tests.processes import ROOT, environment
from tests.relays import ISSUER, ORIGIN
from tests.test_functions_main import function
from vchat.errors import Refused

_PASSWORD = "hunter2"


def nobody_there() -> dict[str, str]:
    return {
        "VCHAT_ENV": "development",
        "REDIS_URL": f"redis://:{_PASSWORD}@127.0.0.1:{free_port()}/0",
        "GOOGLE_CLOUD_PROJECT": "my-project",
        "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{free_port()}",
    }


def until_said(log: Path, *words: str) -> str:
    end = time.monotonic() + 60
    while not all(word in log.read_text() for word in words):
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)
    return log.read_text()


def test_a_relay_says_which_setting_is_wrong_before_anyone_comes(tmp_path):
    log = tmp_path / "relay.log"
    with jwks() as keys, log.open("w") as out:
        settings = environment(
            **nobody_there(),
            VCHAT_ISSUER=ISSUER,
            VCHAT_ORIGINS=ORIGIN,
            VCHAT_JWKS_URL=keys,
            HOST="127.0.0.1",
            PORT="0",
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "relay"], cwd=ROOT, env=settings, stdout=out, stderr=out
        )
        try:
            said = until_said(log, "REDIS_URL", "PUBSUB_EMULATOR_HOST")
        finally:
            process.terminate()
            process.wait(30)
    assert _PASSWORD not in said
    assert "Traceback" not in said


def test_a_function_says_which_settings_are_wrong_with_its_first_request(tmp_path):
    settings = {**nobody_there(), "FIRESTORE_EMULATOR_HOST": f"127.0.0.1:{free_port()}"}
    with function("api", tmp_path, **settings) as url:
        assert httpx.get(f"{url}/health", timeout=30).status_code == 503
        emulators = ("PUBSUB_EMULATOR_HOST", "FIRESTORE_EMULATOR_HOST")
        said = until_said(tmp_path / "api.log", "REDIS_URL", *emulators)
    assert _PASSWORD not in said
    assert "Traceback" not in said


async def test_a_password_that_is_refused_is_told_from_a_server_that_is_away(redis_port, caplog):
    state = RedisState(connect(f"redis://nobody:{_PASSWORD}@127.0.0.1:{redis_port}"))
    with pytest.raises(Refused):
        await state.occupancy(["nobody"])
    await state.close()
    (said,) = [record.message for record in caplog.records]
    assert "REDIS_URL" in said
    assert "refuses us" in said
    assert _PASSWORD not in said
