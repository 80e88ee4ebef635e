"""Relays, Redis and Pub/Sub as real processes, each behind a network that can fail."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec

from adapters.state_redis import RedisState, connect
from local.servers import Server, redis_server
from tests.faults.wire import Wire
from tests.processes import ROOT, environment
from tests.relays import ISSUER, ORIGIN, RING
from vchat.keys import public_jwks

PROJECT = "faults"
_START_S = 30.0


def lasting_redis(folder: Path) -> Server:
    """A Redis that has its data back after a restart. Raises Missing."""
    redis_server()  # says how to get it
    redis = shutil.which("redis-server")
    assert redis is not None
    folder.mkdir(parents=True, exist_ok=True)
    files = ["--dir", str(folder), "--save", "", "--appendonly", "yes", "--appendfsync", "always"]
    return Server([redis, "--bind", "{host}", "--port", "{port}", *files], ready=None)


@contextmanager
def jwks() -> Iterator[str]:
    """The URL of the API's public keys."""
    body = msgspec.json.encode(public_jwks(RING.public))

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/jwks.json"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class RelayProcess:
    """One relay's process, and the wires between it and browsers, Redis and Pub/Sub."""

    def __init__(self, name: str, redis: Server, pubsub: Server, keys: str, log: Path) -> None:
        self.name = name
        self._log = log
        self._port = Server([], ready=None).port
        self.browsers = Wire(self._port)
        self.redis = Wire(redis.port)
        self.pubsub = Wire(pubsub.port)
        self._keys = keys
        self._clock = log.with_suffix(".skew")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.browsers.port}"

    async def open(self) -> None:
        for wire in (self.browsers, self.redis, self.pubsub):
            await wire.open()

    async def close(self) -> None:
        self.signal(signal.SIGKILL)
        await self.ended()
        for wire in (self.browsers, self.redis, self.pubsub):
            await wire.close()

    def set_clock(self, skew_s: float) -> None:
        """Put the relay's clock this far ahead of ours, now or from its start on."""
        new = self._clock.with_suffix(".new")
        new.write_text(str(skew_s))
        new.replace(self._clock)

    async def start(self, *, seed: int) -> None:
        """Returns once it listens."""
        settings = environment(
            VCHAT_ENV="development",
            VCHAT_ISSUER=ISSUER,
            VCHAT_ORIGINS=ORIGIN,
            VCHAT_JWKS_URL=self._keys,
            REDIS_URL=f"redis://127.0.0.1:{self.redis.port}",
            GOOGLE_CLOUD_PROJECT=PROJECT,
            PUBSUB_EMULATOR_HOST=f"127.0.0.1:{self.pubsub.port}",
            VCHAT_RELAY_NAME=self.name,
            HOST="127.0.0.1",
            PORT=str(self._port),
            ODD_CLOCK=str(self._clock),
            ODD_SEED=str(seed),
        )
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 (which signals nobody but us)
                [sys.executable, "-m", "tests.faults.odd_relay"],
                cwd=ROOT,
                env=settings,
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(_START_S):
            while True:
                if self._process.poll() is not None:
                    raise RuntimeError(f"{self.name} did not start; see {self._log}")
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self._port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.transport.abort()
                    return

    def signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, number)

    async def ended(self) -> None:
        if self._process is not None:
            await asyncio.to_thread(self._process.wait, 30)


class World:
    """All of it. `show` and `state` go to Redis directly: they stand for the functions."""

    def __init__(self, redis: Server, pubsub: Server, relays: list[RelayProcess]) -> None:
        self.redis = redis
        self.pubsub = pubsub
        self.relays = relays
        self.client = connect(f"redis://127.0.0.1:{redis.port}")
        self.state = RedisState(self.client)


@asynccontextmanager
async def world(
    redis: Server, pubsub: Server, folder: Path, *, relays: int
) -> AsyncIterator[World]:
    """`relays` relays, not started yet, on the running `redis` and `pubsub`."""
    with jwks() as keys:
        made = [
            RelayProcess(f"relay-{n}", redis, pubsub, keys, folder / f"relay-{n}.log")
            for n in range(relays)
        ]
        whole = World(redis, pubsub, made)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(whole.state.close)
            for relay in made:
                await relay.open()
                stack.push_async_callback(relay.close)
            yield whole
