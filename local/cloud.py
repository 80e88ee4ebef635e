"""`make cloud`: what runs in Google Cloud, on this machine, as processes of their own.

Emulators of Pub/Sub and Firestore, Redis, the functions under functions-framework, and relays; the
page and the functions at one address.
"""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from adapters.data_folder import make_folder
from adapters.keys_file import open_ring
from local import pages
from local.front import front
from local.servers import KINDS, Missing, Server
from relay.serve import bind
from vchat.config import ConfigError, Reader
from vchat.keys import dump_ring
from vchat.provider_settings import ProviderSettings, read_provider_settings

_ROOT = Path(__file__).parent.parent
_HOST = "127.0.0.1"
_PROJECT = "vchat-local"
_NAMES = {"pubsub": "Pub/Sub emulator", "firestore": "Firestore emulator", "redis": "Redis"}
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_S = 0.5
_LOGS = "cloud"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the page and the relays listen, and where keys and logs lie; `origins` are of others'
    pages, such as a front end's own development server."""

    port: int
    relay_ports: tuple[int, ...]
    data: Path
    origins: frozenset[str]
    providers: ProviderSettings


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Settings out of an environment. Raises ConfigError with every mistake in it."""
    relays = environ.get("RELAY_PORTS", "").strip() or "8091,8092"
    read = Reader({**environ, "VCHAT_ENV": "development", "RELAY_PORTS": relays})
    port = read.number("PORT", 8080, least=1, most=65535)
    ports = read.parsed("RELAY_PORTS", _ports) or ()
    if port in ports:
        read.wrong("RELAY_PORTS", "has the page's own PORT in it")
    data = Path(read.text("VCHAT_DATA", ".vchat")).absolute()
    origins = read.origins("VCHAT_ORIGINS", "")
    providers = read_provider_settings(environ, read)
    read.check()
    return Settings(port, ports, data, origins, providers)


def _ports(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) <= 65535 for part in parts):
        raise ValueError("it wants ports, as in 8091,8092")
    if len(set(parts)) < len(parts):
        raise ValueError("every relay wants a port of its own")
    return tuple(map(int, parts))


def _listener(settings: Settings) -> socket.socket:
    """The page's socket; also tries the relays' ports. Raises ConfigError with all that fail."""
    problems = []
    opened: list[socket.socket] = []
    for port in (settings.port, *settings.relay_ports):
        try:
            opened.append(bind(_HOST, port))
        except OSError as error:
            problems.append(f"Port {port} cannot be used: {error.strerror}.")
    for one in opened[bool(not problems) :]:
        one.close()
    if problems:
        choose = "Choose others, as in: make cloud PORT=8070 RELAY_PORTS=8071,8072"
        raise ConfigError([*problems, choose])
    return opened[0]


def _outside(logs: Path) -> dict[str, Server]:
    """What stands for Google's and others' services. Raises ConfigError naming all missing."""
    servers, problems = {}, []
    for kind, make in KINDS.items():
        try:
            servers[kind] = make(logs / f"{kind}.log")
        except Missing as missing:
            problems.append(f"{_NAMES[kind]} is missing: {missing}.")
    if problems:
        raise ConfigError(problems)
    return servers


def _ours(
    settings: Settings, outside: Mapping[str, Server], logs: Path
) -> tuple[Server, dict[str, Server]]:
    """The functions, and the relays by name, told of each other and of what is outside."""
    page = f"http://localhost:{settings.port}"
    origins = settings.origins | {page, f"http://127.0.0.1:{settings.port}"}
    shared = {
        **os.environ,
        "VCHAT_ENV": "development",
        "VCHAT_ISSUER": f"{page}/api",
        "VCHAT_ORIGINS": ",".join(origins),
        "REDIS_URL": f"redis://{outside['redis'].address}/0",
        "GOOGLE_CLOUD_PROJECT": _PROJECT,
        "PUBSUB_EMULATOR_HOST": outside["pubsub"].address,
        "HOST": _HOST,
    }
    source = str(_ROOT / "functions" / "main.py")
    framework = [sys.executable, "-m", "functions_framework", "--target", "api", "--source", source]
    functions = Server(
        [*framework, "--host", "{host}", "--port", "{port}"],
        ready="/health",
        environ={
            **shared,
            "VCHAT_RELAY_URLS": ",".join(_relay_urls(settings)),
            "VCHAT_SIGNING_KEYS": dump_ring(open_ring(settings.data / "keys.json")),
            "FIRESTORE_EMULATOR_HOST": outside["firestore"].address,
        },
        log=logs / "functions.log",
    )
    relays = {
        f"relay-{port}": Server(
            [sys.executable, "-m", "relay"],
            ready="/ready",
            port=port,
            environ={
                **shared,
                "PORT": str(port),
                "VCHAT_RELAY_NAME": f"relay-{port}",
                "VCHAT_JWKS_URL": f"http://{functions.address}/.well-known/jwks.json",
            },
            log=logs / f"relay-{port}.log",
        )
        for port in settings.relay_ports
    }
    return functions, relays


def _relay_urls(settings: Settings) -> tuple[str, ...]:
    return tuple(f"ws://localhost:{port}" for port in settings.relay_ports)


@contextmanager
def _running(*servers: Server) -> Iterator[None]:
    """All at once, up and down: they take seconds each."""
    try:
        # The pool ends with the last start, whatever came between: what is half started could not
        # be stopped, and an end may be asked for before all starts are written down here.
        with ThreadPoolExecutor(len(servers)) as pool:
            for start in [pool.submit(server.start) for server in servers]:
                start.result()
        yield
    finally:
        with ThreadPoolExecutor(len(servers)) as pool:
            wait([pool.submit(server.stop) for server in servers])


def _run(settings: Settings) -> None:
    logs = settings.data / _LOGS
    make_folder(settings.data)
    logs.mkdir(exist_ok=True)
    outside = _outside(logs)
    listener = _listener(settings)
    functions, relays = _ours(settings, outside, logs)
    allowed = pages.elsewhere(_relay_urls(settings), settings.providers)
    print("Starting Redis, the emulators, the functions and the relays …", flush=True)
    with (
        _running(*outside.values()),
        _running(functions),
        _running(*relays.values()),
        front(listener, allowed, f"http://{functions.address}"),
    ):
        print(f"V-Chat is at http://localhost:{settings.port} (Ctrl-C ends it)")
        for name, relay in relays.items():
            print(f"  {name} is process {relay.pid}")
        print(f"  logs are in {logs}", flush=True)
        _watch({**{_NAMES[kind]: one for kind, one in outside.items()}, "api": functions}, relays)


def _watch(needed: Mapping[str, Server], relays: Mapping[str, Server]) -> NoReturn:
    """Until something that is needed ends; a relay may, as an instance in the cloud may."""
    told: set[str] = set()
    while True:
        time.sleep(_LOOK_S)
        for name, server in needed.items():
            if server.ended:
                raise RuntimeError(f"{name} ended by itself.")
        for name in (name for name, relay in relays.items() if relay.ended and name not in told):
            print(f"{name} ended; its people go on at another relay", flush=True)
            told.add(name)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    for one in _SIGNALS:
        signal.signal(one, signal.SIG_IGN)  # asked twice, it still ends everything in order
    sys.exit(0)


def main() -> None:
    for number in _SIGNALS:
        signal.signal(number, _leave)
    try:
        _run(read_settings(os.environ))
    except (ConfigError, RuntimeError) as error:
        sys.exit(f"V-Chat cannot run:\n{error}")


if __name__ == "__main__":
    main()
