"""What the relay says as text: each frame's shape, as JSON bytes ready to send."""

from collections.abc import Sequence
from typing import Any

import msgspec

from vchat import limits
from vchat.errors import Refused, Why
from vchat.events import room_view
from vchat.idleness import Idleness
from vchat.model import Member, Room
from vchat.policy import Role
from vchat.state import Position

_encode = msgspec.json.encode

VERSION = 3
"""Of the protocol this relay speaks; each only adds to the one before. 1: everything up to
`migrate`. 2: `doze`. 3: `part`, for those who say in their hello that they know it."""
KNOWS_PARTS = 3

LIMITS = {
    "chat": {"burst": limits.CHAT.burst, "perS": limits.CHAT.per_s},
    "signal": {"burst": limits.SIGNAL.burst, "perS": limits.SIGNAL.per_s},
    "poseHz": limits.POSE_HZ,
    "frameBytes": limits.FRAME_BYTES,
    "textLength": limits.TEXT_LENGTH,
}
"""The limits a welcome tells."""


Lists = tuple[tuple[bytes, ...], tuple[bytes, ...]]
"""Members and last chats, each a JSON object."""


def in_parts(members: Sequence[bytes], chats: Sequence[bytes]) -> list[Lists]:
    """What a welcome lists, cut into parts of WELCOME_BYTES or one entry each. The last one, which
    may be empty, goes into the welcome itself."""
    parts: list[Lists] = []
    lists: tuple[list[bytes], list[bytes]] = ([], [])
    size = 0
    for kind, entries in enumerate((members, chats)):
        for entry in entries:
            if size and size + len(entry) > limits.WELCOME_BYTES:
                parts.append((tuple(lists[0]), tuple(lists[1])))
                lists, size = ([], []), 0
            lists[kind].append(entry)
            size += len(entry)
    return [*parts, (tuple(lists[0]), tuple(lists[1]))]


def part(lists: Lists) -> bytes:
    """What comes before a welcome that lists a lot."""
    members, chats = ([msgspec.Raw(entry) for entry in entries] for entries in lists)
    return _encode({"type": "part", "members": members, "history": chats})


def welcome(
    *,
    session: str,
    me: Member,
    role: Role,
    room: Room,
    people: int,
    lists: Lists,
    known: int,
    head: Position,
    recovered: bool,
    resume: str,
    expires_in: int,
    relay: str,
    server_time: int,
    idleness: Idleness,
    tick_hz: int = limits.TICK_HZ,
) -> bytes:
    """The first frame, or the first after its parts: `lists` is the last of them, and `people` are
    those in all. `known` is the offset of the last event the browser is taken to know,
    `expires_in` the seconds until the session needs a refresh, `tick_hz` the pace of the line."""
    members, history = lists
    return _encode(
        {
            "type": "welcome",
            "version": VERSION,
            "session": session,
            "seat": me.seat,
            "user": {"id": me.user_id, "name": me.name, "avatar": me.avatar},
            "role": role,
            "room": room_view(room, people),
            "members": [msgspec.Raw(member) for member in members],
            "epoch": head.epoch,
            "offset": known,
            "head": head.offset,
            "recovered": recovered,
            "history": [msgspec.Raw(chat) for chat in history],
            "resume": resume,
            "expiresIn": expires_in,
            "tickHz": tick_hz,
            "pingMs": limits.PING_MS,
            "serverTime": server_time,
            "relay": relay,
            "limits": LIMITS,
            "doze": {
                "hiddenS": idleness.hidden_s,
                "idleS": idleness.idle_s,
                "awayS": idleness.away_s,
            },
        }
    )


def ack(message_id: str, offset: int) -> bytes:
    return _encode({"type": "ack", "id": message_id, "offset": offset})


def error(refused: Refused, message_id: str | None = None) -> bytes:
    """A message was refused; the connection stays."""
    frame: dict[str, Any] = {"type": "error", "code": refused.code, "detail": refused.detail}
    if message_id is not None:
        frame["id"] = message_id
    if refused.retry_ms is not None:
        frame["retryMs"] = refused.retry_ms
    return _encode(frame)


def refreshed(resume: str, expires_in: int) -> bytes:
    return _encode({"type": "refreshed", "resume": resume, "expiresIn": expires_in})


def migrate(after_ms: int) -> bytes:
    return _encode({"type": "migrate", "afterMs": after_ms})


PING = _encode({"type": "ping"})
LEFT = _encode({"type": "bye", "code": 1000, "reason": "left"})


def bye(why: Why, retry_ms: int | None = None) -> bytes:
    """What is said before the relay closes. `why` has a close code."""
    frame: dict[str, Any] = {"type": "bye", "code": why.value.close, "reason": why.value.code}
    if retry_ms is not None:
        frame["retryMs"] = retry_ms
    return _encode(frame)
