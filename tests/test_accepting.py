"""New connections are taken one by one, and all of them."""

import asyncio
import contextlib
import errno

import pytest

from relay.accepting import accept_from
from relay.serve import bind


class Greeter(asyncio.Protocol):
    def __init__(self, met: list[int]) -> None:
        self.met = met

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.met.append(transport.get_extra_info("peername")[1])
        transport.write(b"hello")
        transport.close()


@pytest.fixture(name="listener")
def _listener():
    with bind("127.0.0.1", 0) as listener:
        yield listener


async def _greeted(port: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await reader.read() == b"hello"
    own: int = writer.get_extra_info("sockname")[1]
    writer.close()
    return own


async def test_a_crowd_is_taken_to_the_last(listener):
    met: list[int] = []
    task = asyncio.create_task(accept_from(listener, lambda: Greeter(met)))
    came = await asyncio.gather(*(_greeted(listener.getsockname()[1]) for _ in range(100)))
    assert sorted(met) == sorted(came)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_moment_without_descriptors_is_survived(listener, monkeypatch, caplog):
    loop = asyncio.get_running_loop()
    real, failures = loop.sock_accept, [OSError(errno.EMFILE, "Too many open files")] * 3

    async def accept(sock):
        if failures:
            raise failures.pop()
        return await real(sock)

    monkeypatch.setattr(loop, "sock_accept", accept)
    monkeypatch.setattr("relay.accepting._RETRY_S", 0)
    task = asyncio.create_task(accept_from(listener, lambda: Greeter([])))
    await _greeted(listener.getsockname()[1])
    assert caplog.text.count("Too many open files") == 1
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_connection_that_fails_for_whatever_reason_is_the_only_one(listener, caplog):
    met: list[int] = []
    failures = [RuntimeError("one bad moment")]

    def protocol() -> asyncio.Protocol:
        if failures:
            raise failures.pop()
        return Greeter(met)

    task = asyncio.create_task(accept_from(listener, protocol))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    async with asyncio.timeout(5):
        assert await reader.read() == b""
        await _greeted(listener.getsockname()[1])
    writer.close()
    assert "one bad moment" in caplog.text
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
