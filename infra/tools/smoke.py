"""Asks a running V-Chat whether people can meet: two guests, a room, tickets, two sockets, a word.

    python -m infra.tools.smoke https://vchat-api-...run.app --origin https://chat.example.com

Exit code 0 when they met, 1 with a sentence when not. The room is ended and both accounts are
deleted afterwards, also when something failed.
"""

import argparse
import asyncio
import json
import secrets
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Origin, Subprotocol

PATIENCE_S = 60.0
"""For each answer: the first one after a deployment waits for a cold start."""
FRAME_S = 15.0


class Broken(Exception):
    """A step failed; the text says which and how."""


async def call(base: str, method: str, path: str, *, token: str = "", body: object = None) -> Any:
    """One call of the api: what it answers. Raises Broken."""

    def ask() -> Any:
        request = urllib.request.Request(  # noqa: S310 - main() lets only http and https through
            base + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Content-Type": "application/json",
                **({"Authorization": f"Bearer {token}"} if token else {}),
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(500).decode(errors="replace")
            raise Broken(f"{method} {path} answered {error.code}: {said}") from error
        except (OSError, ValueError) as error:
            raise Broken(f"{method} {base}{path} did not come through: {error}") from error

    return await asyncio.to_thread(ask)


@asynccontextmanager
async def seated(
    base: str, token: str, room: str, origin: str, invite: str | None = None
) -> AsyncIterator[tuple[ClientConnection, dict[str, Any]]]:
    """A socket in the room, and its welcome."""
    ticket = await call(
        base,
        "POST",
        f"/rooms/{room}/tickets",
        token=token,
        body={"invite": invite} if invite else {},
    )
    url = ticket["url"]
    try:
        async with connect(
            url,
            subprotocols=[Subprotocol("vchat.v1")],
            origin=Origin(origin),
            open_timeout=PATIENCE_S,
            compression=None,
        ) as socket:
            await socket.send(json.dumps({"type": "hello", "ticket": ticket["ticket"]}))
            welcome = await heard(socket, lambda frame: frame["type"] == "welcome")
            yield socket, welcome
            await socket.send(json.dumps({"type": "leave"}))
    except ConnectionClosed as error:
        raise Broken(f"{url} closed the socket: {error}") from error
    except (OSError, WebSocketException) as error:
        raise Broken(f"{url} did not take a socket: {error}") from error


async def heard(
    socket: ClientConnection, wanted: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """The first text frame that is wanted. Raises Broken."""
    try:
        async with asyncio.timeout(FRAME_S):
            while True:
                frame = await socket.recv()
                if isinstance(frame, str) and wanted(said := json.loads(frame)):
                    return dict(said)
    except TimeoutError as error:
        raise Broken(f"nothing of the kind arrived within {FRAME_S:.0f} s") from error


async def meet(base: str, origin: str, say: Callable[[str], None]) -> None:
    """Let two guests meet. Raises Broken at the first step that fails."""
    guests = [
        (await call(base, "POST", "/auth/guest", body={"name": f"Smoke {number}"}))["accessToken"]
        for number in (1, 2)
    ]
    say("two guests signed in")
    room = ""
    try:
        made = {"name": "Smoke test", "visibility": "private", "capacity": 2}
        room = (await call(base, "POST", "/rooms", token=guests[0], body=made))["id"]
        invite = await call(base, "POST", f"/rooms/{room}/invites", token=guests[0], body={})
        say("a private room stands, with an invite")
        await talk(base, origin, room, guests, invite["invite"], say)
    finally:
        await clear(base, room, guests, say)


async def talk(
    base: str, origin: str, room: str, guests: list[str], invite: str, say: Callable[[str], None]
) -> None:
    """Both enter, the first one speaks, the second one hears it."""
    async with (
        seated(base, guests[0], room, origin) as (first, _),
        seated(base, guests[1], room, origin, invite) as (second, _),
    ):
        say("both are seated")
        word, message = secrets.token_hex(8), secrets.token_hex(8)
        await first.send(json.dumps({"type": "chat", "id": message, "text": word}))
        ack = await heard(first, lambda frame: frame["type"] in ("ack", "error"))
        if ack["type"] == "error":
            raise Broken(f"the chat was refused: {ack}")
        event = await heard(second, lambda frame: frame["type"] == "chat")
        if event["text"] != word:
            raise Broken(f"another word arrived: {event}")
        say("one spoke, the other heard it")


async def clear(base: str, room: str, guests: list[str], say: Callable[[str], None]) -> None:
    paths = [(guests[0], f"/rooms/{room}")] if room else []
    for token, path in [*paths, *((token, "/me") for token in guests)]:
        try:
            await call(base, "DELETE", path, token=token)
        except Broken as broken:
            say(f"could not clear up: {broken}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base", help="the api's base address")
    parser.add_argument("--origin", required=True, help="an allowed origin, sent to the relay")
    asked = parser.parse_args()
    base = asked.base.rstrip("/")
    if not base.startswith(("https://", "http://")):
        parser.error("the base address must start with https:// or http://")
    try:
        asyncio.run(meet(base, asked.origin, lambda text: print(f"  {text}", flush=True)))
    except Broken as broken:
        sys.exit(f"V-Chat does not work yet: {broken}")
    print("People can meet.")


if __name__ == "__main__":
    main()
