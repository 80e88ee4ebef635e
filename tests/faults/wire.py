"""A network that can fail: a TCP proxy whose connections are reset or go silent on demand."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

_CHUNK = 64 * 1024


@dataclass(eq=False)
class Link:
    """One connection through the proxy."""

    writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    flowing: asyncio.Event = field(default_factory=asyncio.Event)

    def reset(self) -> None:
        self.flowing.set()  # nobody must go on waiting for it
        for writer in self.writers:
            writer.transport.abort()


class Wire:
    """Listens on a port of its own and passes everything on to `port`, both of this machine."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.links: list[Link] = []
        self._flowing = True
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._server.close()
        self.reset()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def reset(self) -> None:
        """Reset every connection."""
        for link in list(self.links):
            link.reset()

    def hush(self) -> None:
        """Pass nothing on, neither on connections there are nor on new ones."""
        self._flowing = False
        for link in self.links:
            link.flowing.clear()

    def resume(self) -> None:
        self._flowing = True
        for link in self.links:
            link.flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            there, to_there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        link = Link((writer, to_there))
        if self._flowing:
            link.flowing.set()
        self.links.append(link)
        # The end of one direction ends both: none of our peers half-closes.
        pumps = [
            asyncio.create_task(self._pump(link, reader, to_there)),
            asyncio.create_task(self._pump(link, there, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.links.remove(link)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for end in link.writers:
                end.close()

    @staticmethod
    async def _pump(link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                await link.flowing.wait()
                writer.write(chunk)
                await writer.drain()
