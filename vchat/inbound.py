"""What a browser may send as text: each message's shape and limits, and the one way to read it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, repeat
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
_STRING = r'"(?:[^"\\]+|\\.)*+"?'
_STRINGS = re.compile(_STRING, re.DOTALL)
_MARKS = re.compile(rf"({_STRING}|[\[\]{{}}])", re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}


def parse(text: str) -> Message | Unusable:
    """Read one text frame. Raises Refused(PROTOCOL_ERROR) if it is not a JSON object."""
    # A decoder gives up at a depth that depends on the stack, and cannot say whose message it was.
    if text.count("[") + text.count("{") > limits.NESTING and _nests_too_deep(text):
        return _unusable(_shallow(text), f"Expected at most {limits.NESTING} levels of nesting.")
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError as error:
        return _unusable(text, str(error))
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Refused(Why.PROTOCOL_ERROR, "Expected a JSON object.") from error


def _nests_too_deep(text: str) -> bool:
    bare = _STRINGS.sub("", text).encode(errors="replace").translate(None, _NO_BRACKETS)
    return max(_levels(bare.decode()), default=0) > limits.NESTING


def _shallow(text: str) -> str:
    """The text with nothing in whatever lies too deep, so that the rest can be read."""
    first, *rest = _MARKS.split(text)
    kept = [first]
    for mark, after, level in zip(rest[::2], rest[1::2], _levels(rest[::2]), strict=True):
        if level <= limits.NESTING:
            kept += (mark, after)
        elif level == limits.NESTING + 1 and mark in ("[", "{"):
            kept.append(mark)
    return "".join(kept)


def _levels(marks: Iterable[str]) -> Iterator[int]:
    """How many are open after each."""
    return accumulate(map(_STEPS.get, marks, repeat(0)))


def _unusable(text: str, detail: str) -> Unusable:
    try:
        fields: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
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
