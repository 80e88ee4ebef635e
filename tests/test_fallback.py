"""The SDK as pages have it, in a network that lets no WebSocket through, talks to a real relay."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis

from adapters.state_redis import RedisState
from tests.components import need
from tests.relays import new_room, running_relay, ticket

_PAGE = Path(__file__).parent / "fallback_page.js"
_SECONDS = 30


async def test_a_page_without_websockets_meets_one_that_has_them():
    state, room = RedisState(FakeAsyncRedis()), new_room()
    await state.show_room(room)
    async with running_relay(state) as relay:
        aya = await relay.join(room.id, "aya")
        tickets = [ticket(room.id, "ben") for _ in range(5)]
        page = await asyncio.create_subprocess_exec(
            need("node"),
            str(_PAGE),
            room.id,
            f"{relay.url}/rooms/{room.id}",
            *tickets,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert page.stdout is not None
        assert page.stdin is not None
        out = page.stdout

        async def told(**wanted: Any) -> dict[str, Any]:
            async with asyncio.timeout(_SECONDS):
                async for line in out:
                    said: dict[str, Any] = json.loads(line)
                    assert "error" not in said, said
                    if wanted.items() <= said.items():
                        return said
            raise AssertionError(f"the page ended without {wanted}")

        try:
            await told(state="joined", way="fallback")
            joined = await aya.text("joined", _SECONDS)
            await aya.send(type="chat", id="m", text="こんにちは")
            await told(chat="こんにちは", offset=3)
            assert (await aya.text("chat"))["offset"] == 3
            answer = await aya.text("chat", _SECONDS)
            assert (answer["text"], answer["offset"]) == ("you said: こんにちは", 4)
            await told(stored=4)
            _, [(seat, _, body), *_] = await aya.tick(_SECONDS)
            assert seat == joined["seat"]
            await aya.pose(1, body)
            assert (await told(seat=aya.welcome["seat"]))["at"] == pytest.approx(
                [1, 0, 2], abs=0.01
            )

            # The relay ends this connection: the page comes back and has missed nothing.
            for stay in relay.relay.hub.stays():
                if stay.me.user_id == "ben":
                    stay.line.lost()
            await aya.send(type="chat", id="n", text="still there?")
            await told(state="reconnecting")
            await told(chat="still there?", offset=5)
            assert (await told(stored=6))["stored"] == 6

            page.stdin.write(b"leave\n")
            left = await aya.text("left", _SECONDS)
            assert (left["userId"], left["reason"]) == ("ben", "left")
            assert await asyncio.wait_for(page.wait(), _SECONDS) == 0
        finally:
            if page.returncode is None:
                page.kill()
                await page.wait()
