"""What a browser may send as text: each message's shape and limits, and the one way to read it."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from vchat import limits
from vchat.errors import Refused, Why

_Token = Annotated[str, Meta(min_length=1, max_length=limits.TOKEN_BYTES)]
_MessageId = Annotated[str, Meta(min_length=1, max_length=limits.MESSAGE_ID_LENGTH)]


class Resume(msgspec.Struct, frozen=True):
    """Where an earlier connection ended: its resume token and the last event it processed."""

    token: _Token
    epoch: Annotated[str, Meta(max_length=64)]
    offset: Annotated[int, Meta(ge=0, le=2**53)]
    moving: bool = False
    """Whether the earlier connection still lives, so that the welcome may take its time."""


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The first message: a ticket, or where to resume."""

    ticket: _Token | None = None
    resume: Resume | None = None
    version: Annotated[int, Meta(ge=1, le=2**31)] = 1

    def __post_init__(self) -> None:
        if (self.ticket is None) == (self.resume is None):
            raise ValueError("Expected either `ticket` or `resume`")


class Chat(msgspec.Struct, frozen=True, tag="chat"):
    id: _MessageId
    text: Annotated[str, Meta(min_length=1, max_length=limits.TEXT_LENGTH)]


class Signal(msgspec.Struct, frozen=True, tag="signal"):
    """The application's own event. Its `data` is kept as the JSON that came."""

    id: _MessageId
    name: Annotated[str, Meta(min_length=1, max_length=limits.SIGNAL_NAME_LENGTH)]
    data: msgspec.Raw = msgspec.Raw(b"null")
    ephemeral: bool = False

    def __post_init__(self) -> None:
        if len(self.data) > limits.SIGNAL_BYTES:
            raise ValueError(f"Expected at most {limits.SIGNAL_BYTES} bytes of `data`")


class Refresh(msgspec.Struct, frozen=True, tag="refresh"):
    ticket: _Token


class Pong(msgspec.Struct, frozen=True, tag="pong"):
    pass


class Doze(msgspec.Struct, frozen=True, tag="doze"):
    """Keep my seat while I am away."""


class Leave(msgspec.Struct, frozen=True, tag="leave"):
    pass


Message = Hello | Chat | Signal | Refresh | Pong | Doze | Leave


@dataclass(frozen=True, slots=True)
class Unusable:
    """A JSON object that is no message of ours: refused, and the connection stays."""

    id: str | None
    why: Why
    detail: str


_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)
_TYPES = frozenset({"hello", "chat", "signal", "refresh", "pong", "doze", "leave"})


def parse(text: str) -> Message | Unusable:
    """Read one text frame. Raises Refused(PROTOCOL_ERROR) if it is not a JSON object."""
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError as error:
        return _unusable(text, str(error))
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Refused(Why.PROTOCOL_ERROR, "Expected a JSON object.") from error


def _unusable(text: str, detail: str) -> Unusable:
    try:
        fields: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        fields = None
    if not isinstance(fields, dict):
        raise Refused(Why.PROTOCOL_ERROR, "Expected a JSON object.")
    message_id = fields.get("id")
    if not isinstance(message_id, str) or len(message_id) > limits.MESSAGE_ID_LENGTH:
        message_id = None
    kind = fields.get("type")
    if not isinstance(kind, str) or kind not in _TYPES:  # a list cannot even be looked for
        return Unusable(message_id, Why.UNKNOWN_TYPE, Why.UNKNOWN_TYPE.value.title + ".")
    return Unusable(message_id, Why.INVALID_REQUEST, detail)
