"""Rooms and tickets for the load: what each client says first, to the relay and to its peers."""

import asyncio
import base64
import json
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.state_redis import RedisState, connect
from bench.serve_relay import ISSUER, KID
from vchat import tokens
from vchat.ids import new_room_id
from vchat.keys import public_jwks
from vchat.model import Room, RoomStatus, Visibility
from vchat.policy import Role

_KEY = Ed25519PrivateKey.generate()
PUBLIC_KEY = base64.b64encode(_KEY.public_key().public_bytes_raw()).decode()


def public_keys() -> dict[str, Any]:
    """The key as the functions publish it."""
    return public_jwks({KID: _KEY.public_key()})


def write_joins(path: Path, *, rooms: int, per_room: int, redis: int | None) -> None:
    """A line "room hello" a client. With `redis` the rooms are shown there and the hello holds a
    real ticket, good for a minute; without, peers get names and a hello of the same size."""
    names = [new_room_id() for _ in range(rooms)]
    if redis is not None:
        asyncio.run(show_rooms(names, per_room, redis))
    with path.open("w") as file:
        for number, room in enumerate(names):
            for seat in range(per_room):
                name = None if redis is None else f"user-{number}-{seat}"
                file.write(f"{room} {hello(room, name)}\n")


def hello(room: str, user: str | None) -> str:
    """The first frame of someone; without a name, as long and good for nothing."""
    ticket = "x" * 400 if user is None else _ticket(room, user)
    return json.dumps({"type": "hello", "ticket": ticket})


async def show_rooms(names: list[str], capacity: int, redis: int) -> None:
    """Show rooms of this size to the relays at a Redis on this port."""
    state = RedisState(connect(f"redis://127.0.0.1:{redis}"))
    for name in names:
        await state.show_room(
            Room(
                id=name,
                name="Bench",
                description="",
                visibility=Visibility.PUBLIC,
                capacity=capacity,
                owner_id="owner",
                status=RoomStatus.OPEN,
                locked=False,
                created_at="2026-01-01T00:00:00Z",
                ended_at=None,
                expires_at="2036-01-01T00:00:00Z",
            )
        )
    await state.close()


def _ticket(room: str, user: str) -> str:
    claims = tokens.ticket_claims(
        user_id=user, room_id=room, role=Role.MEMBER, name=user, avatar=None, admitted=False
    )
    return tokens.sign(
        tokens.TICKET, claims, issuer=ISSUER, kid=KID, key=_KEY, now=int(time.time())
    )
