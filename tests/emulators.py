"""Real servers for the tests, on free ports of this machine: Pub/Sub, Firestore and Redis.

A server that is not installed skips the tests that need it, saying how to install it; when `CI` is
`true` it fails them, so that no pipeline is green because nothing ran.
"""

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

_HOST = "127.0.0.1"
_START_S = 60.0
_STOP_S = 10.0
_GCLOUD = (
    "install the Google Cloud CLI (https://cloud.google.com/sdk/docs/install), Java 17 or newer, "
    "and run: gcloud components install beta {component}"
)


class Missing(Exception):
    """A server is not installed; the text says how to get it."""


class Server:
    """A server process of our own. Its port stays the same over restarts; its data does not."""

    def __init__(self, command: list[str], *, http: bool) -> None:
        with socket.socket() as free:
            free.bind((_HOST, 0))
            self.port = int(free.getsockname()[1])
        self.address = f"{_HOST}:{self.port}"
        self._command = [part.format(host=_HOST, port=self.port) for part in command]
        self._http = http
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once the server answers."""
        # Output nobody reads goes nowhere: a full pipe would stop the server.
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"did not start: {' '.join(self._command)}")
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it the way a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def reset(self) -> None:
        """Forget everything, as only the Pub/Sub emulator can (its undocumented POST /reset)."""
        request = urllib.request.Request(f"http://{self.address}/reset", method="POST")
        urllib.request.urlopen(request, timeout=_STOP_S).close()

    def _answers(self) -> bool:
        try:
            if self._http:
                urllib.request.urlopen(f"http://{self.address}/", timeout=1).close()
            else:
                socket.create_connection((_HOST, self.port), 1).close()
        except OSError:
            return False
        return True


@cache
def _sdk() -> Path | None:
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        return None
    found = subprocess.run(
        [gcloud, "info", "--format=value(installation.sdk_root)"],
        capture_output=True,
        text=True,
        check=False,
    )
    return Path(found.stdout.strip()) if found.returncode == 0 else None


def _jar(component: str, pattern: str) -> str:
    sdk = _sdk()
    jars = sorted((sdk / "platform").glob(pattern)) if sdk is not None else []
    if not jars or shutil.which("java") is None:
        raise Missing(_GCLOUD.format(component=component))
    return str(jars[-1])


def pubsub_emulator() -> Server:
    """The jar itself: `gcloud beta emulators` leaves its Java child behind when it is ended."""
    jar = _jar("pubsub-emulator", "pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar")
    return Server(["java", "-jar", jar, "--host={host}", "--port={port}"], http=True)


def firestore_emulator() -> Server:
    """The jar has no main class of its own, hence the name."""
    jar = _jar("cloud-firestore-emulator", "cloud-firestore-emulator/cloud-firestore-emulator*.jar")
    main = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
    java = ["java", "-Duser.language=en", "-cp", jar, main, "start"]
    return Server([*java, "--host={host}", "--port={port}"], http=True)


def redis_server() -> Server:
    redis = shutil.which("redis-server")
    if redis is None:
        raise Missing("install it, for example: apt-get install redis-server")
    quiet = ["--save", "", "--appendonly", "no"]
    return Server([redis, "--bind", "{host}", "--port", "{port}", *quiet], http=False)


_KINDS = {"pubsub": pubsub_emulator, "firestore": firestore_emulator, "redis": redis_server}


def running(kind: str) -> Iterator[Server]:
    """The body of a fixture: a running `pubsub`, `firestore` or `redis`, stopped afterwards."""
    try:
        server = _KINDS[kind]()
    except Missing as missing:
        text = f"no {kind} server on this machine; {missing}"
        if os.environ.get("CI") == "true":
            pytest.fail(text)
        pytest.skip(text)
    server.start()
    try:
        yield server
    finally:
        server.stop()
