"""A V-Chat of our own on this machine, what it needs of memory, and what it logs."""

import asyncio
import json
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from console.account import Trouble
from local.servers import free_ports

_ROOT = Path(__file__).resolve().parent.parent
_START_S = 120.0
_END_S = 40.0
_OURS = ("functions.log", "relay-*.log")
"""Of the logs of a `make cloud`; the emulators' are not about us."""


class OwnServer:
    """`address` is the api's, and `relays` are the processes that hold people's connections, both
    known once it runs."""

    def __init__(self, logs: Path) -> None:
        self.address = ""
        self.relays: Sequence[int] = ()
        self._logs = logs
        self._said: list[str] = []

    def memory_kb(self) -> int:
        """Resident memory of the relays now. Raises Trouble when one is gone."""
        return sum(map(_resident_kb, self.relays))

    @property
    def lines(self) -> list[str]:
        """Those of its log that are worth a look, so far."""
        files = [file for pattern in _OURS for file in sorted(self._logs.glob(pattern))]
        written = [line for file in files for line in file.read_text(errors="replace").splitlines()]
        return [*self._said, *filter(_worth_a_look, written)]

    async def listen(self, errors: asyncio.StreamReader) -> None:
        """Read what its first process logs, to the end."""
        async for line in errors:
            text = line.decode(errors="replace").rstrip()
            if _worth_a_look(text):
                self._said.append(text)


def _resident_kb(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        status = ""
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    if found is None:
        raise Trouble("A process of the local server has ended.")
    return int(found[1])


def _worth_a_look(line: str) -> bool:
    try:
        return json.loads(line)["severity"] not in ("DEBUG", "INFO")
    except (ValueError, KeyError, TypeError):
        return bool(line)


@asynccontextmanager
async def own_server(relays: int = 0) -> AsyncIterator[OwnServer]:
    """Start one on ports of its own, with data that goes with it: as `make run` does, or as
    `make cloud` does, with so many relays."""
    # Only a `make run` can choose its port itself.
    ports = free_ports(relays + 1) if relays else [0]
    with tempfile.TemporaryDirectory(prefix="vchat-soak-") as data:
        kept = {name: value for name, value in os.environ.items() if name[:6] != "VCHAT_"}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "local.cloud" if relays else "local",
            cwd=_ROOT,
            env={
                **kept,
                "PYTHONPATH": str(_ROOT),
                "PORT": str(ports[0]),
                "RELAY_PORTS": ",".join(map(str, ports[1:])),
                "VCHAT_DATA": data,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us, who end it in order
        )
        assert process.stdout is not None
        assert process.stderr is not None
        server = OwnServer(Path(data) / "cloud")
        listening = asyncio.create_task(server.listen(process.stderr))
        try:
            said = await _until_there(process.stdout, relays)
            if said is None:
                with suppress(ProcessLookupError):
                    process.terminate()
                await listening
                raise Trouble("\n".join(["The local server did not start.", *server.lines]))
            server.address = f"{re.findall(r'http://[^ ]+', said)[0]}/api"
            pids = map(int, re.findall(r"is process (\d+)", said))
            server.relays = tuple(pids) or (process.pid,)
            yield server
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.terminate()
                try:
                    async with asyncio.timeout(_END_S):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()
            await listening


async def _until_there(out: asyncio.StreamReader, relays: int) -> str | None:
    """What it prints up to the last line that belongs to its start; None when it ends before, or
    takes too long."""
    said = ""
    try:
        async with asyncio.timeout(_START_S):
            while "V-Chat is at" not in said or said.count("is process") < relays:
                if not (line := await out.readline()):
                    return None
                said += line.decode()
    except TimeoutError:
        return None
    return said
