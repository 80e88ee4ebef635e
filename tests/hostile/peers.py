"""Every kind of harm that is known here, each as a coroutine that says how it was ended."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from tests.hostile.connection import Connection, Target
from tests.raw_frames import BINARY, CONT, PING, TEXT, frame
from vchat import outbound, ticks

Kind = Callable[[Target], Awaitable[str]]
OWN = bytes([200])


async def _endlessly(one: Connection, data: bytes, pause_s: float) -> str:
    """Send again and again, and read meanwhile, as those do who want to be answered."""

    async def send() -> None:
        while not one.over:
            await one.send(data)
            await asyncio.sleep(pause_s)

    sending = asyncio.create_task(send())
    try:
        return await one.ended()
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


# Who does not read


async def stopped_reader(target: Target) -> str:
    one = await Connection.member(target)
    await asyncio.sleep(target.patience)
    return await one.ended()


async def one_byte_reader(target: Target) -> str:
    one = await Connection.member(target)
    until = asyncio.get_running_loop().time() + target.patience
    while asyncio.get_running_loop().time() < until and not one.over:
        await one.read(1)
        await asyncio.sleep(target.patience / 50)
    return await one.ended()


async def stopped_newcomer(target: Target) -> str:
    """Reads nothing from its hello on, so not what it is to be welcomed with either."""
    one = await Connection.socket(target)
    hello = {**json.loads(target.hello()), "version": outbound.KNOWS_PARTS}
    await one.send(frame(TEXT, json.dumps(hello).encode()))
    await asyncio.sleep(target.patience)
    return await one.ended()


async def silent_member(target: Target) -> str:
    """As one whose network is gone without a word."""
    return await (await Connection.member(target)).ended()


async def stopped_stream(target: Target) -> str:
    """A member over the fallback who reads nothing."""
    one = await Connection.open(target)
    hello = target.hello()
    head = f"POST /rooms/{target.room_id}/stream HTTP/1.1\r\nHost: x\r\n"
    await one.send(f"{head}Content-Length: {len(hello)}\r\n\r\n".encode() + hello)
    await asyncio.sleep(target.patience)
    return await one.ended()


async def pipeliner(target: Target) -> str:
    """Asks for more answers than it ever reads."""
    one = await Connection.open(target)
    asking = asyncio.create_task(_ask_on(one))
    await asyncio.sleep(target.patience)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await one.ended()
    return "cut"


async def _ask_on(one: Connection) -> None:
    while not one.over:
        await one.send(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n" * 100)


# Who sends too much


async def giant_frame(target: Target) -> str:
    one = await Connection.member(target)
    await one.send(frame(BINARY, bytes(1 << 20))[: 1 << 18])
    return await one.ended()


async def giant_message(target: Target) -> str:
    """Each piece is small enough."""
    one = await Connection.member(target)
    await one.send(frame(TEXT, b"x" * 8192, fin=False))
    return await _endlessly(one, frame(CONT, b"x" * 8192, fin=False), 0.02)


async def piece_flood(target: Target) -> str:
    one = await Connection.member(target)
    await one.send(frame(TEXT, b"", fin=False))
    return await _endlessly(one, frame(CONT, b"", fin=False) * 1000, 0.02)


async def ping_flood(target: Target) -> str:
    return await _endlessly(await Connection.member(target), frame(PING, b"x" * 125) * 100, 0.02)


async def chat_flood(target: Target) -> str:
    one = await Connection.member(target)
    chat = json.dumps({"type": "chat", "id": "m", "text": "x" * 100}).encode()
    return await _endlessly(one, frame(TEXT, chat) * 20, 0.01)


async def pose_flood(target: Target) -> str:
    one = await Connection.member(target)
    return await _endlessly(one, frame(BINARY, ticks.pose(1, OWN + bytes(500))) * 20, 0.01)


async def junk(target: Target) -> str:
    one = await Connection.member(target)
    await one.send(frame(TEXT, b"{" * 1000))
    return await one.ended()


# Who takes their time


async def silent_stranger(target: Target) -> str:
    return await (await Connection.socket(target)).ended()


async def dripping_hello(target: Target) -> str:
    one = await Connection.socket(target)
    hello = frame(TEXT, target.hello())

    async def drip() -> None:
        for sign in hello:
            await one.send(bytes((sign,)))
            await asyncio.sleep(target.patience / 100)

    dripping = asyncio.create_task(drip())
    try:
        return await one.ended()
    finally:
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)


async def slow_head(target: Target) -> str:
    one = await Connection.open(target)
    await one.send(b"GET /live HTTP/1.1\r\n")
    return await _endlessly(one, b"X: y\r\n", target.patience / 100)


async def endless_head(target: Target) -> str:
    one = await Connection.open(target)
    await one.send(b"GET /live HTTP/1.1\r\nX: ")
    return await _endlessly(one, b"y" * 8000, 0.02)


async def slow_body(target: Target) -> str:
    one = await Connection.open(target)
    head = (
        f"POST /rooms/{target.room_id}/stream HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n"
    )
    await one.send(head.encode())
    return await _endlessly(one, b"x", target.patience / 100)


async def endless_body(target: Target) -> str:
    one = await Connection.open(target)
    head = f"POST /rooms/{target.room_id}/stream HTTP/1.1\r\nHost: x\r\n"
    await one.send(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
    return await _endlessly(one, b"4000\r\n" + bytes(16384) + b"\r\n", 0.02)


KINDS: Mapping[Kind, frozenset[str]] = MappingProxyType(
    {
        stopped_reader: frozenset({"4003", "4004", "cut"}),
        one_byte_reader: frozenset({"4003", "4004", "cut"}),
        stopped_newcomer: frozenset({"4003", "4004", "cut"}),
        silent_member: frozenset({"4004"}),
        stopped_stream: frozenset({"4003", "4004", "cut"}),
        pipeliner: frozenset({"cut"}),
        giant_frame: frozenset({"1009"}),
        giant_message: frozenset({"1009"}),
        piece_flood: frozenset({"4005"}),
        ping_flood: frozenset({"4005"}),
        chat_flood: frozenset({"4005"}),
        pose_flood: frozenset({"4005"}),
        junk: frozenset({"4305"}),
        silent_stranger: frozenset({"4006"}),
        dripping_hello: frozenset({"4006"}),
        slow_head: frozenset({"408"}),
        endless_head: frozenset({"431", "cut"}),
        slow_body: frozenset({"400"}),
        endless_body: frozenset({"413", "cut"}),
    }
)
"""How each may be ended: by a close code, a status, or without a word where none would be read."""
TURNED_AWAY = frozenset({"503", "1013", "4400"})
"""What is heard at the door, whatever one meant to do: too many are there, or inside."""
