"""Servers as processes of our own on this machine: Pub/Sub, Firestore, Redis, and ours."""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path

_HOST = "127.0.0.1"
_START_S = 60.0
_STOP_S = 10.0
_JAVA = "Java 17 or newer"
_JVM = ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""To compile thoroughly costs more than an emulator ever gets to do."""
_PLATFORM = "platform"
_GCLOUD = (
    f"install the Google Cloud CLI (https://cloud.google.com/sdk/docs/install), {_JAVA}, "
    "and run: gcloud components install beta {component}"
)


class Missing(Exception):
    """A server is not installed; the text says how to get it."""


class Server:
    """A server process of our own. Its port stays the same over restarts; its data does not.

    `command` may name {host} and {port}. `ready` is a path that answers 200 once the server works;
    without one, its port that can be reached says it. Output goes to `log`, or nowhere: into a pipe
    that nobody reads, it would stop the server. `needs` is what may be wrong with the machine when
    it does not start.
    """

    def __init__(
        self,
        command: list[str],
        *,
        ready: str | None,
        port: int | None = None,
        environ: Mapping[str, str] | None = None,
        log: Path | None = None,
        needs: str | None = None,
    ) -> None:
        self.port = port or free_ports(1)[0]
        self.address = f"{_HOST}:{self.port}"
        self._command = [part.format(host=_HOST, port=self.port) for part in command]
        self._ready = ready
        self._environ = environ
        self._log = log
        self._needs = needs
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it was started and runs no more."""
        return self._process is not None and self._process.poll() is not None

    def start(self) -> None:
        """Returns once the server answers; raises RuntimeError when it does not."""
        with (self._log or Path(os.devnull)).open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 (commands written here)
                self._command,
                stdout=output,
                stderr=output,
                env=self._environ,
                # Ctrl-C in a terminal is for us, who end everything in order.
                process_group=0,
            )
        deadline = time.monotonic() + _START_S
        while not self._answers():
            if self.ended or time.monotonic() > deadline:
                self.kill()
                needs = f"; it needs {self._needs}" if self._needs else ""
                seen = f"; its output is in {self._log}" if self._log else ""
                raise RuntimeError(f"did not start: {' '.join(self._command)}{needs}{seen}")
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
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def reset(self) -> None:
        """Forget everything, as only the Pub/Sub emulator can (its undocumented POST /reset)."""
        request = urllib.request.Request(f"http://{self.address}/reset", method="POST")
        urllib.request.urlopen(request, timeout=_STOP_S).close()  # noqa: S310 (our own address)

    def _answers(self) -> bool:
        try:
            if self._ready is None:
                socket.create_connection((_HOST, self.port), 1).close()
            else:
                url = f"http://{self.address}{self._ready}"
                urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            return False
        return True


def free_ports(count: int) -> list[int]:
    """So many different ports that nobody has now."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_server((_HOST, 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in held]


@cache
def _sdk() -> Path | None:
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        return None
    beside = Path(gcloud).resolve().parent.parent
    if (beside / _PLATFORM).is_dir():  # as nearly everywhere; to ask gcloud takes a second
        return beside
    found = subprocess.run(  # noqa: S603 (found on the path)
        [gcloud, "info", "--format=value(installation.sdk_root)"],
        capture_output=True,
        text=True,
        check=False,
    )
    return Path(found.stdout.strip()) if found.returncode == 0 else None


def _jar(component: str, pattern: str) -> str:
    sdk = _sdk()
    jars = sorted((sdk / _PLATFORM).glob(pattern)) if sdk is not None else []
    if not jars or shutil.which("java") is None:
        raise Missing(_GCLOUD.format(component=component))
    return str(jars[-1])


def pubsub_emulator(log: Path | None = None) -> Server:
    """The jar itself: `gcloud beta emulators` leaves its Java child behind when it is ended."""
    jar = _jar("pubsub-emulator", "pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar")
    java = [*_JVM, "-jar", jar]
    return Server([*java, "--host={host}", "--port={port}"], ready="/", log=log, needs=_JAVA)


def firestore_emulator(log: Path | None = None) -> Server:
    """The jar has no main class of its own, hence the name."""
    jar = _jar("cloud-firestore-emulator", "cloud-firestore-emulator/cloud-firestore-emulator*.jar")
    main = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
    java = [*_JVM, "-Duser.language=en", "-cp", jar, main, "start"]
    return Server([*java, "--host={host}", "--port={port}"], ready="/", log=log, needs=_JAVA)


def redis_server(log: Path | None = None) -> Server:
    redis = shutil.which("redis-server")
    if redis is None:
        raise Missing("install it, for example: apt-get install redis-server")
    quiet = ["--save", "", "--appendonly", "no"]
    return Server([redis, "--bind", "{host}", "--port", "{port}", *quiet], ready=None, log=log)


KINDS = {"pubsub": pubsub_emulator, "firestore": firestore_emulator, "redis": redis_server}
