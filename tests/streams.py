"""A browser's end of the fallback, shaped as the WebSocket client that the tests use otherwise."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close

HELLO_WAIT_S = 5


class StreamConnection:
    """Opens the stream with the first frame that is sent, and posts the others one after another,
    those that wait together."""

    def __init__(self, url: str, *, origin: str | None = None) -> None:
        base = url.replace("ws", "http", 1)
        headers = {} if origin is None else {"Origin": origin}
        self._client = httpx.AsyncClient(base_url=base, headers=headers, timeout=None, verify=False)
        self._heard: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._waiting: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._ended: Close | None = None
        self._key: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.refusal: httpx.Response | None = None
        self.posted: list[int] = []
        self.transport = self  # as a socket's, it has `abort`

    async def send(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            frame = ":" + base64.b64encode(frame).decode()
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._listen(frame)),
                asyncio.create_task(self._post()),
            ]
            return
        self._waiting.append(frame)

    async def recv(self) -> str | bytes:
        frame = await self._heard.get()
        if frame is None:
            self._heard.put_nowait(None)
            raise ConnectionClosedError(self._ended, None)
        return frame

    async def _listen(self, hello: str) -> None:
        try:
            async with self._client.stream("POST", "/stream", content=hello) as answer:
                if answer.status_code != 200:
                    await answer.aread()
                    self.refusal = answer
                    return
                async for name, data in events(answer):
                    if name == "stream":
                        self._key.set_result(json.loads(data)["key"])
                    elif name == "tick":
                        self._heard.put_nowait(base64.b64decode(data))
                    elif name == "close":
                        self._ended = Close(**json.loads(data))
                    else:
                        self._heard.put_nowait(data)
        except httpx.HTTPError:
            pass  # A lost connection, which `recv` tells.
        finally:
            self._heard.put_nowait(None)

    async def _post(self) -> None:
        headers = {"Authorization": f"Bearer {await self._key}"}
        while True:
            lines, self._waiting = self._waiting[:100], self._waiting[100:]
            if not lines:
                await asyncio.sleep(0.002)
                continue
            with suppress(httpx.HTTPError):
                answer = await self._client.post(
                    "/frames", content="\n".join(lines), headers=headers
                )
                self.posted.append(answer.status_code)

    @property
    async def key(self) -> str:
        return await self._key

    def abort(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Leave, as a socket's closing with 1000 does."""
        if self._tasks:
            await self.send('{"type":"leave"}')
            await asyncio.wait(self._tasks[:1], timeout=5)
        self.abort()
        await self.wait_closed()

    async def wait_closed(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()


async def events(answer: httpx.Response) -> AsyncIterator[tuple[str, str]]:
    """(name, data) of each server-sent event; text may hold what other line readers split at."""
    rest = b""
    async for chunk in answer.aiter_raw():
        *whole, rest = (rest + chunk).split(b"\n\n")
        for one in whole:
            fields: dict[str, Any] = {"event": "", "data": []}
            for line in one.decode().split("\n"):
                name, _, value = line.partition(": ")
                if name == "event":
                    fields["event"] = value
                elif name == "data":
                    fields["data"].append(value)
            if fields["data"]:
                yield fields["event"], "\n".join(fields["data"])
