"""What a relay itself needs to know of an event that it passes on."""

import msgspec

from vchat.policy import Role

JOINED = b'{"type":"joined"'
CHAT = b'{"type":"chat"'
TOLD_ONLY = (CHAT, b'{"type":"signal"', JOINED)
"""How events begin that concern browsers alone."""


class Notice(msgspec.Struct, rename="camel"):
    """The part of an event that concerns the relay."""

    type: str
    user_id: str = ""
    seat: int = 0
    reason: str = ""
    role: Role | None = None
    muted: bool | None = None
    name: str | None = None
    slow_mode_s: int = 0


_decode = msgspec.json.Decoder(Notice).decode


def read_notice(body: bytes) -> Notice:
    """Raises ValueError for what is no event."""
    return _decode(body)
