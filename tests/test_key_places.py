"""Where signing keys are kept: the same promises of a file and of Secret Manager."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.keys_file import KeyFile
from adapters.keys_held import AGE_S, HeldKeys
from adapters.keys_secret_manager import SecretManagerKeys, own_token
from infra.tools.rotate import STEPS, rotate
from tests.conftest import ManualClock
from tests.fakes.secret_manager import SECRET, TOKEN, FakeSecretManager
from tests.http_api import serving
from vchat.errors import Refused, Why
from vchat.keys import KeyPlace, KeyPlaceError, new_ring

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Place:
    keys: KeyPlace
    spoil: Callable[[bytes], object]
    again: Callable[[], KeyPlace]
    """The same place, as another process sees it."""


async def _token() -> str:
    return TOKEN


@pytest.fixture(name="cloud")
async def _cloud() -> AsyncIterator[tuple[FakeSecretManager, str]]:
    fake = FakeSecretManager()
    async with serving(fake.app()) as base:
        yield fake, base


@pytest.fixture(name="place", params=["file", "secret-manager"])
async def _place(
    request: pytest.FixtureRequest, tmp_path: Path, cloud: tuple[FakeSecretManager, str]
) -> AsyncIterator[Place]:
    made: list[KeyPlace] = []
    fake, base = cloud
    path = tmp_path / "keys.json"

    def again() -> KeyPlace:
        made.append(
            KeyFile(path)
            if request.param == "file"
            else SecretManagerKeys(SECRET, _token, api=base)
        )
        return made[-1]

    spoil = path.write_bytes if request.param == "file" else fake.versions.append
    yield Place(again(), spoil, again)
    for one in made:
        await one.close()


async def test_a_place_without_keys_has_none(place: Place):
    assert await place.keys.read() is None


async def test_what_was_written_last_is_read_by_everybody(place: Place):
    for ring in (new_ring(), new_ring().with_new_key()):
        await place.keys.write(ring)
        found = await place.again().read()
        assert found is not None
        assert list(found.keys) == list(ring.keys)
        assert found.signing.private_bytes_raw() == ring.signing.private_bytes_raw()


@pytest.mark.parametrize("content", [b"", b"{}", b'{"keys": []}', b"\xff", b'{"keys":["hunter2"]}'])
async def test_what_is_no_ring_is_said_without_being_shown(place: Place, content: bytes):
    place.spoil(content)
    with pytest.raises(KeyPlaceError) as error:
        await place.keys.read()
    assert "hunter2" not in str(error.value)


async def test_keys_are_made_once_and_turned_over_step_by_step(place: Place):
    made = await rotate(place.again(), ["make"])
    with pytest.raises(ValueError, match="already"):
        await rotate(place.again(), ["make"])
    with pytest.raises(ValueError, match="nothing to turn"):
        await rotate(place.again(), ["turn"])
    added = await rotate(place.again(), ["add"])
    assert (added.kid, len(added.keys)) == (made.kid, 2)
    turned = await rotate(place.again(), ["turn"])
    assert list(turned.keys) == list(reversed(added.keys))
    dropped = await rotate(place.again(), ["drop"])
    assert list(dropped.keys) == [turned.kid]
    stolen = await rotate(place.again(), ["add", "turn", "drop"])
    assert set(stolen.keys).isdisjoint(dropped.keys)


async def test_nothing_is_turned_over_before_it_is_made(place: Place):
    for step in set(STEPS) - {"make"}:
        with pytest.raises(ValueError, match="make them first"):
            await rotate(place.again(), [step])
    assert await place.keys.read() is None


async def test_a_running_instance_follows_within_minutes_and_reads_no_more_often(place: Place):
    clock = ManualClock()
    held = HeldKeys(place.keys, clock=lambda: clock.now / 1000)
    with pytest.raises(Refused) as refused:
        await held.refresh()
    assert refused.value.why is Why.UNAVAILABLE
    first = await rotate(place.again(), ["make"])
    clock.pass_s(11)
    await held.refresh()
    assert held.kid == first.kid
    later = await rotate(place.again(), ["add", "turn"])
    await held.refresh()
    assert held.kid == first.kid
    clock.pass_s(AGE_S)
    await held.refresh()
    assert (held.kid, set(held.public)) == (later.kid, set(later.keys))
    assert held.signing.public_key() == held.public[held.kid]


async def test_a_place_that_breaks_leaves_the_last_good_keys(place: Place):
    clock = ManualClock()
    held = HeldKeys(place.keys, clock=lambda: clock.now / 1000)
    ring = await rotate(place.again(), ["make"])
    await held.refresh()
    place.spoil(b"broken")
    clock.pass_s(AGE_S + 1)
    await held.refresh()
    assert held.kid == ring.kid


# Secret Manager alone


@pytest.mark.parametrize("trouble", ["503", "403", "429", "html"])
async def test_a_secret_manager_in_trouble_is_a_clear_sentence(cloud, trouble):
    fake, base = cloud
    fake.trouble = trouble
    keys = SecretManagerKeys(SECRET, _token, api=base)
    with pytest.raises(KeyPlaceError, match="Secret Manager"):
        await keys.read()
    with pytest.raises(KeyPlaceError, match="Secret Manager"):
        await keys.write(new_ring())
    await keys.close()


async def test_one_that_nobody_answers_and_a_wrong_token_are_told_too(cloud):
    _, base = cloud

    async def wrong() -> str:
        return "another"

    for keys in (
        SecretManagerKeys(SECRET, _token, api="http://127.0.0.1:9"),
        SecretManagerKeys(SECRET, wrong, api=base),
        SecretManagerKeys("projects/p1/secrets/other", _token, api=base),
    ):
        with pytest.raises(KeyPlaceError) as error:
            await keys.read()
        assert TOKEN not in str(error.value)
        await keys.close()


async def test_a_destroyed_version_is_not_taken_for_no_keys(cloud):
    fake, base = cloud
    fake.versions = [b"{}", None]
    keys = SecretManagerKeys(SECRET, _token, api=base)
    with pytest.raises(KeyPlaceError, match="FAILED_PRECONDITION"):
        await keys.read()
    await keys.close()


async def test_requests_that_come_together_share_one_look(cloud):
    fake, base = cloud
    keys = SecretManagerKeys(SECRET, _token, api=base)
    await rotate(SecretManagerKeys(SECRET, _token, api=base), ["make"])
    fake.asked = 0
    held = HeldKeys(keys)
    await asyncio.gather(*(held.refresh() for _ in range(20)))
    assert fake.asked == 1
    await held.close()


async def test_a_deployed_instance_reads_with_its_own_identity(cloud, monkeypatch, tmp_path):
    fake, base = cloud
    await rotate(SecretManagerKeys(SECRET, _token, api=base), ["make"])
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "NO_GCE_CHECK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    for name in ("GCE_METADATA_HOST", "GCE_METADATA_IP", "GCE_METADATA_ROOT"):
        monkeypatch.setenv(name, base.removeprefix("http://"))
    keys = SecretManagerKeys(SECRET, own_token(), api=base)
    for _ in range(3):
        assert await keys.read() is not None
    assert fake.tokens == 1
    await keys.close()


async def test_the_command_turns_over_what_a_project_has(cloud, tmp_path):
    fake, base = cloud
    (tmp_path / "gcloud").write_text(
        f"#!/bin/sh\n[ \"$*\" = 'auth print-access-token' ] && echo {TOKEN}\n"
    )
    (tmp_path / "gcloud").chmod(0o755)
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    async def command(*words: str) -> "subprocess.CompletedProcess[str]":
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "infra.tools.rotate", *words, "--project", "p1", "--api", base],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )

    done = await command("make")
    assert (done.returncode, done.stderr) == (0, "")
    done = await command("add", "turn")
    assert "signs, 1 more published." in done.stdout
    again = await command("make")
    assert again.returncode == 1
    assert again.stderr == "The keys were not changed: there are keys already\n"
    assert len(fake.versions) == 2
    for version in fake.versions:
        assert version is not None
        assert version.decode() not in done.stdout + again.stderr
