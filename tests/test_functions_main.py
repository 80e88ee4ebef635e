"""The deployed functions as processes of their own, and the settings that they start with."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import jwt
import pytest

from adapters.keys_file import open_ring
from functions.settings import read_settings
from tests.components import free_port
from tests.fakes.secret_manager import SECRET, TOKEN, FakeSecretManager
from tests.http_api import Api, serving
from tests.http_world import MAIN, environment
from vchat.config import ConfigError
from vchat.keys import dump_ring, new_ring, parse_public
from vchat.tokens import read_ticket

ROOT = MAIN.parents[1]


def command(target: str, port: int) -> list[str]:
    where = ["--source", str(MAIN), "--host", "127.0.0.1", "--port", str(port)]
    return [sys.executable, "-m", "functions_framework", "--target", target, *where]


def surroundings(**settings: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **settings}


def listening(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a process that was just started accepts connections."""
    end = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None, "the function ended"
            assert time.monotonic() < end, "the function does not listen"
            time.sleep(0.05)


@contextmanager
def function(target: str, folder: Path, **settings: str) -> Iterator[str]:
    """A target served by functions-framework; yields its URL."""
    port = free_port()
    with (folder / f"{target}.log").open("wb") as log:
        process = subprocess.Popen(
            command(target, port),
            env=surroundings(**environment(folder / "data", **settings)),
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
        try:
            listening(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


async def test_a_person_walks_through_functions_that_are_deployed_apart(tmp_path, redis_port):
    redis = {"REDIS_URL": f"redis://127.0.0.1:{redis_port}/0"}
    with ExitStack() as stack:
        base = {
            target: stack.enter_context(function(target, tmp_path, **redis))
            for target in ("auth", "rooms", "tokens", "api")
        }
        at = {target: Api(url) for target, url in base.items()}
        guest = await at["auth"].guest()
        body = {"name": "Rooftop", "visibility": "public"}
        room = (await at["rooms"]("POST", "/rooms", body, token=guest.token)).json()["id"]
        made = await at["tokens"]("POST", f"/rooms/{room}/tickets", {}, token=guest.token)
        keys = (await at["tokens"]("GET", "/.well-known/jwks.json")).json()
        for target, api in at.items():
            assert (await api("GET", "/health")).status_code == 200
            # A target answers its own part; only `api` answers all of them.
            answer = await api("GET", f"/rooms/{room}", unmarked=True)
            assert answer.status_code == (200 if target in ("rooms", "api") else 404)
            await api.close()

        settings = read_settings(environment(tmp_path / "data"))
        ticket = read_ticket(
            made.json()["ticket"],
            room,
            issuer=settings.issuer,
            keys=parse_public(keys),
            now=time.time(),
        )
        assert ticket.user_id == guest.id
    log = (tmp_path / "auth.log").read_text()
    assert '"path":"/auth/guest"' in log
    assert guest.token not in log


async def test_a_function_signs_with_the_keys_that_a_secret_holds(tmp_path):
    """By its own identity; and serves nobody before there are any."""
    secrets = FakeSecretManager()
    async with serving(secrets.app()) as google:
        host = google.removeprefix("http://")
        named = {
            "VCHAT_SIGNING_KEYS": SECRET,
            "SECRET_MANAGER_EMULATOR_HOST": host,
            "CLOUDSDK_CONFIG": str(tmp_path),
            "HOME": str(tmp_path),
            **dict.fromkeys(("GCE_METADATA_HOST", "GCE_METADATA_IP", "GCE_METADATA_ROOT"), host),
        }
        with function("api", tmp_path, **named) as base:
            early = await asyncio.to_thread(httpx.get, f"{base}/.well-known/jwks.json")
        assert (early.status_code, early.json()["code"]) == (503, "unavailable")
        assert "There are no signing keys yet." in (tmp_path / "api.log").read_text()
        ring = new_ring()
        secrets.versions.append(dump_ring(ring).encode())
        with function("api", tmp_path, **named) as base:
            told = await asyncio.to_thread(httpx.get, f"{base}/.well-known/jwks.json")
            async with httpx.AsyncClient(base_url=base, verify=False) as http:
                guest = await http.post("/auth/guest", json={"name": "Aya"})
    assert list(parse_public(told.json())) == [ring.kid]
    assert jwt.get_unverified_header(guest.json()["accessToken"])["kid"] == ring.kid
    log = (tmp_path / "api.log").read_text()
    assert TOKEN not in log
    assert dump_ring(ring) not in log


def test_wrong_settings_stop_the_start_with_every_name(tmp_path):
    done = subprocess.run(
        command("api", free_port()),
        env=surroundings(VCHAT_ORIGINS="*", PUBSUB_EMULATOR_HOST="localhost:1"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode != 0
    for name in (
        "VCHAT_ISSUER",
        "VCHAT_ORIGINS",
        "VCHAT_RELAY_URLS",
        "VCHAT_SIGNING_KEYS",
        "REDIS_URL",
        "GOOGLE_CLOUD_PROJECT",
        "PUBSUB_EMULATOR_HOST",
    ):
        assert name in done.stderr
    assert "Traceback" not in done.stderr


def production(**changes: str) -> dict[str, str]:
    return {
        "VCHAT_ISSUER": "https://api.chat.example/",
        "VCHAT_ORIGINS": "https://chat.example, https://beta.chat.example",
        "VCHAT_RELAY_URLS": "wss://relay-0.example,wss://relay-1.example/",
        "VCHAT_SIGNING_KEYS": dump_ring(new_ring()),
        "REDIS_URL": "rediss://redis.example:6379",
        "GOOGLE_CLOUD_PROJECT": "vchat-prod",
        **changes,
    }


def test_production_reads_what_it_was_given():
    settings = read_settings(production())
    assert settings.production
    assert settings.issuer == "https://api.chat.example"
    assert settings.relay_urls == ("wss://relay-0.example", "wss://relay-1.example")
    assert settings.origins == {"https://chat.example", "https://beta.chat.example"}
    assert settings.keys is not None
    assert settings.proxies == 1
    assert settings.database == "(default)"


def test_the_signing_keys_may_be_named_instead_of_given():
    name = "projects/vchat-prod/secrets/vchat-signing-keys"
    assert read_settings(production(VCHAT_SIGNING_KEYS=name)).keys == name
    for wrong in (f"{name}/versions/1", "vchat-signing-keys", f"https://x/{name}"):
        with pytest.raises(ConfigError):
            read_settings(production(VCHAT_SIGNING_KEYS=wrong))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VCHAT_ISSUER", "http://api.chat.example"),
        ("VCHAT_RELAY_URLS", "ws://relay.example"),
        ("VCHAT_ORIGINS", "*"),
        ("VCHAT_SIGNING_KEYS", '{"keys": [{"d": "hunter2"}]}'),
        ("REDIS_URL", "http://x"),
        ("GOOGLE_CLOUD_PROJECT", ""),
        ("VCHAT_PROXIES", "many"),
        ("FIRESTORE_EMULATOR_HOST", "localhost:8080"),
    ],
)
def test_production_refuses_what_only_a_desk_may_have(name, value):
    with pytest.raises(ConfigError) as wrong:
        read_settings(production(**{name: value}))
    (problem,) = wrong.value.problems
    assert name in problem
    assert "hunter2" not in problem


def test_a_desk_needs_no_services(tmp_path):
    settings = read_settings(environment(tmp_path))
    assert (settings.redis_url, settings.project, settings.keys) == (None, None, None)
    assert settings.data == tmp_path


def test_the_key_file_is_made_once_and_for_its_owner_only(tmp_path):
    path = tmp_path / "new" / "keys.json"
    ring = open_ring(path)
    assert open_ring(path).kid == ring.kid
    assert path.stat().st_mode & 0o077 == 0
    assert [one.name for one in path.parent.iterdir()] == ["keys.json"]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"keys": []}', b"\xff"])
def test_a_broken_key_file_is_one_clear_sentence(tmp_path, content):
    path = tmp_path / "keys.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as wrong:
        open_ring(path)
    assert str(path) in str(wrong.value)
    assert path.read_bytes() == content


def test_a_folder_for_a_key_file_is_one_clear_sentence(tmp_path):
    with pytest.raises(ConfigError) as wrong:
        open_ring(tmp_path)
    assert wrong.value.problems == [f"The key file {tmp_path} cannot be used: Is a directory."]


async def test_a_broken_data_file_says_so_in_the_log_and_reveals_nothing(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "vchat.db").write_bytes(b"not a database" * 100)
    with function("api", tmp_path) as base:
        async with httpx.AsyncClient(base_url=base, verify=False) as http:
            answer = await http.get("/rooms")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert str(tmp_path) not in answer.text
    assert "vchat.db cannot be used" in (tmp_path / "api.log").read_text()
