"""A V-Chat of our own on this machine, as `make run` starts it, and what it needs of memory."""

import asyncio
import json
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from console.account import Trouble

_ROOT = Path(__file__).resolve().parent.parent
_START_S = 60.0
_END_S = 20.0


class OwnServer:
    """A running one; `lines` are those of its log that are worth a look."""

    def __init__(self, process: asyncio.subprocess.Process, address: str) -> None:
        self._process = process
        self.address = address
        self.lines: list[str] = []

    def memory_kb(self) -> int:
        """Resident memory now. Raises Trouble when the process is gone."""
        status = Path(f"/proc/{self._process.pid}/status")
        found = re.search(r"^VmRSS:\s+(\d+) kB", status.read_text(), re.MULTILINE)
        if found is None:
            raise Trouble("The local server has ended.")
        return int(found[1])

    async def listen(self) -> None:
        """Read its log to the end."""
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            text = line.decode(errors="replace").rstrip()
            if _worth_a_look(text):
                self.lines.append(text)


def _worth_a_look(line: str) -> bool:
    try:
        return json.loads(line)["severity"] not in ("DEBUG", "INFO")
    except (ValueError, KeyError, TypeError):
        return bool(line)


@asynccontextmanager
async def own_server() -> AsyncIterator[OwnServer]:
    """Start one on a port of its own, with data that goes with it."""
    with tempfile.TemporaryDirectory(prefix="vchat-soak-") as data:
        kept = {name: value for name, value in os.environ.items() if name[:6] != "VCHAT_"}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "local",
            cwd=_ROOT,
            env={**kept, "PYTHONPATH": str(_ROOT), "PORT": "0", "VCHAT_DATA": f"{data}/vchat"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us, who end it in order
        )
        listening: asyncio.Task[None] | None = None
        try:
            assert process.stdout is not None
            async with asyncio.timeout(_START_S):
                said = (await process.stdout.readline()).decode()
            found = re.search(r"http://\S+", said)
            if found is None:
                raise Trouble(f"The local server did not start: {said!r}")
            server = OwnServer(process, f"{found[0]}/api")
            listening = asyncio.create_task(server.listen())
            yield server
        finally:
            if process.returncode is None:
                process.terminate()
                try:
                    async with asyncio.timeout(_END_S):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()
            if listening is not None:
                await listening
