"""What is measured: the relay and its peers, how each is started, and which are not here."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.joins import PUBLIC_KEY

HERE = Path(__file__).parent
BUILT = HERE.parent / "build" / "bench"
SERVER_CORE, LOAD_CORE = 0, 1
OURS = "V-Chat"


@dataclass(frozen=True)
class Server:
    """One server that can be measured. `{port}` and `{redis}` in `argv` are filled in."""

    name: str
    argv: tuple[str, ...]
    needs: tuple[str, ...] = ()
    node: bool = False
    """In a real-time class Node's threads wait for each other at full speed, at twice the CPU."""

    @property
    def socketio(self) -> bool:
        return self.name == "Socket.IO"

    @property
    def missing(self) -> str | None:
        """What is not installed here, if anything."""
        for need in (*self.needs, self.argv[0]):
            if not Path(need).exists() and shutil.which(need) is None:
                return Path(need).name
        return None


def _node(script: str, package: str, *arguments: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    peers = HERE / "peers"
    return ("node", str(peers / script), "{port}", *arguments), (
        str(peers / "node_modules" / package),
    )


_RELAY = (sys.executable, "-m", "bench.serve_relay", "{port}", "{redis}", PUBLIC_KEY)
SERVERS = {
    server.name: server
    for server in (
        Server(OURS, _RELAY),
        Server("V-Chat, plain line", (*_RELAY, "plain")),
        Server("C epoll floor", (str(BUILT / "floor"), "{port}")),
        Server("Go nhooyr forwarding", (str(BUILT / "go_nhooyr"), "{port}", "forward")),
        Server("Go nhooyr merging", (str(BUILT / "go_nhooyr"), "{port}", "merge")),
        Server("Go gorilla merging", (str(BUILT / "go_gorilla"), "{port}", "merge")),
        Server("Node ws forwarding", *_node("ws.mjs", "ws", "forward"), node=True),
        Server("Node ws merging", *_node("ws.mjs", "ws", "merge"), node=True),
        Server("Socket.IO", *_node("socketio.mjs", "socket.io"), node=True),
        Server(
            "Starlette on stock uvicorn",
            (sys.executable, str(HERE / "peers" / "starlette_plain.py"), "{port}"),
        ),
    )
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def pinned(core: int, argv: Sequence[str], *, ahead: bool = True) -> list[str]:
    """On one core, and, where that is allowed, before its neighbours there: in the first real-time
    class, or without `ahead` only the nicest to itself."""
    if os.geteuid() != 0:
        first = []
    elif ahead:
        first = ["chrt", "--fifo", "1"]
    else:
        first = ["nice", "-n", "-20"]
    return [*first, "taskset", "-c", str(core), *argv]


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 15
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} does not listen")


@contextmanager
def redis_running() -> Iterator[int]:
    """A redis-server of our own, on the load's core, so that its CPU is not the server's."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            pinned(LOAD_CORE, ["redis-server", "--port", str(port), "--save", "", "--dir", folder]),
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_for(port, process)
            yield port
        finally:
            process.terminate()
            process.wait()


@contextmanager
def running(server: Server, redis: int) -> Iterator[tuple[int, int]]:
    """The server on its core: (port, process id)."""
    port = free_port()
    argv = [part.format(port=port, redis=redis) for part in server.argv]
    process = subprocess.Popen(
        pinned(SERVER_CORE, argv, ahead=not server.node),
        cwd=HERE.parent,
        env={**os.environ, "GOMAXPROCS": "1", "PYTHONPATH": str(HERE.parent)},
    )
    try:
        wait_for(port, process)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
