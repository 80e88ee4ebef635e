"""Cold start: from starting `python -m relay` to its first welcome, with nothing warm but bytecode.

Redis is real and the public keys come over HTTP, as deployed. Pub/Sub is not there at all: a join
does not wait for it.
"""

import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from bench.joins import public_keys, write_joins
from bench.serve_relay import ISSUER
from bench.servers import HERE, SERVER_CORE, free_port, pinned

_AS_DEPLOYED = """
import runpy, sys
sys.modules["rich"] = None  # only tools of development have it here, and it draws in much of httpx
runpy.run_module("relay", run_name="__main__", alter_sys=True)
"""
IMPORTS = "python -c 'import starlette, uvicorn'"


@contextmanager
def _keys_served() -> Iterator[str]:
    body = json.dumps(public_keys()).encode()

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the table is all this prints."""

    server = HTTPServer(("127.0.0.1", 0), Keys)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/jwks.json"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def imports_ms() -> float:
    """What importing the framework alone takes here, to judge the rest by."""
    begun = time.perf_counter()
    subprocess.run(
        pinned(SERVER_CORE, [sys.executable, "-c", "import starlette, uvicorn"]), check=True
    )
    return (time.perf_counter() - begun) * 1000


def start_to_welcome_ms(redis: int) -> float:
    with _keys_served() as keys, tempfile.TemporaryDirectory() as folder:
        joins = Path(folder) / "joins"
        write_joins(joins, rooms=1, per_room=1, redis=redis)
        room, hello = joins.read_text().strip().split(" ", 1)
        port = free_port()
        environment = {
            **os.environ,
            "PYTHONPATH": str(HERE.parent),
            "VCHAT_ENV": "development",
            "VCHAT_ISSUER": ISSUER,
            "VCHAT_ORIGINS": "https://page.bench",
            "VCHAT_JWKS_URL": keys,
            "REDIS_URL": f"redis://127.0.0.1:{redis}",
            "GOOGLE_CLOUD_PROJECT": "bench",
            "PUBSUB_EMULATOR_HOST": "127.0.0.1:9",
            "HOST": "127.0.0.1",
            "PORT": str(port),
        }
        begun = time.perf_counter()
        relay = subprocess.Popen(
            pinned(SERVER_CORE, [sys.executable, "-c", _AS_DEPLOYED]),
            env=environment,
            cwd=HERE.parent,
            stdout=subprocess.DEVNULL,
        )
        try:
            with _connected(port, relay) as browser:
                _join(browser, room, hello)
                return (time.perf_counter() - begun) * 1000
        finally:
            relay.kill()
            relay.wait()


def _connected(port: int, relay: subprocess.Popen[bytes]) -> socket.socket:
    for _ in range(5000):
        if relay.poll() is not None:
            raise RuntimeError("the relay did not start")
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except ConnectionRefusedError:
            time.sleep(0.002)
    raise RuntimeError("the relay does not listen")


def _join(browser: socket.socket, room: str, hello: str) -> None:
    nonce = base64.b64encode(os.urandom(16)).decode()
    browser.sendall(
        f"GET /rooms/{room} HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: vchat.v1\r\n"
        f"Sec-WebSocket-Key: {nonce}\r\n\r\n".encode()
    )
    said = hello.encode()
    got = b""
    while b"\r\n\r\n" not in got:
        got += browser.recv(65536)
    browser.sendall(b"\x81\xfe" + len(said).to_bytes(2, "big") + bytes(4) + said)
    while b'"type":"welcome"' not in got:
        more = browser.recv(65536)
        if not more:
            raise RuntimeError(f"no welcome: {got[-200:]!r}")
        got += more
