"""The one place that judges input: a JSON object or a query string becomes a typed value."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import msgspec

from vchat import limits
from vchat.errors import Refused, Why
from vchat.ids import is_id
from vchat.text import clean_line, clean_text
from vchat.times import parse_rfc3339, rfc3339

T = TypeVar("T", bound=msgspec.Struct)


class PersonName(str):
    """What a person is called."""


class RoomName(str):
    """What a room is called."""


class Description(str):
    """What a room is about; may have several lines, or be empty."""


class Note(str):
    """Why a moderator acted."""


class Id(str):
    """An id that we gave out."""


class Moment(str):
    """A time, in the one form that we store."""


def _moment(text: str) -> str:
    return rfc3339(parse_rfc3339(text))


def _id(text: str) -> str:
    if not is_id(text):
        raise ValueError("Expected an id")
    return text


# What a text must become, and what the OpenAPI file says of it.
_RULES: dict[type, tuple[Callable[[str], str], dict[str, Any]]] = {
    PersonName: (
        partial(clean_line, most=limits.NAME_LENGTH),
        {"type": "string", "minLength": 1, "maxLength": limits.NAME_LENGTH},
    ),
    RoomName: (
        partial(clean_line, most=limits.ROOM_NAME_LENGTH),
        {"type": "string", "minLength": 1, "maxLength": limits.ROOM_NAME_LENGTH},
    ),
    Description: (
        partial(clean_text, least=0, most=limits.DESCRIPTION_LENGTH),
        {"type": "string", "maxLength": limits.DESCRIPTION_LENGTH},
    ),
    Note: (
        partial(clean_line, least=0, most=limits.REASON_LENGTH),
        {"type": "string", "maxLength": limits.REASON_LENGTH},
    ),
    Id: (_id, {"type": "string"}),
    Moment: (_moment, {"type": "string", "format": "date-time"}),
}
_DIGITS = re.compile(r"-?[0-9]+")
_PLACE = re.compile(r" - at `[^`]*`$")


def read(kind: type[T], given: Mapping[str, Any], *, strict: bool = True) -> T:
    """A `kind` out of JSON values, or Refused(INVALID_REQUEST) that names every bad field.

    Unknown fields are ignored, and null is the same as absent. Not `strict` takes numbers as text,
    as they come in a query string.
    """
    values: dict[str, Any] = {}
    errors: list[tuple[str, str]] = []
    for field in msgspec.structs.fields(kind):
        pointer = f"/{field.encode_name}"
        value = given.get(field.encode_name)
        if value is None:
            if field.required:
                errors.append((pointer, "This field is required"))
            continue
        try:
            made = msgspec.convert(value, field.type, strict=strict, dec_hook=_made_by_rule)
            if not strict and type(made) is int and not _DIGITS.fullmatch(value):
                raise msgspec.ValidationError("Expected `int`, got `str`")  # 1e1 is one to msgspec
            # Back to plain text: msgspec does not write subclasses of str.
            values[field.name] = str(made) if type(made) in _RULES else made
        except msgspec.ValidationError as error:
            errors.append((pointer, _PLACE.sub("", str(error))))
    if errors:
        raise Refused(Why.INVALID_REQUEST, errors=tuple(errors))
    return kind(**values)


def bad_field(name: str, problem: str) -> Refused:
    """A refusal of one field for what it says, where its type alone could not tell."""
    return Refused(Why.INVALID_REQUEST, errors=((f"/{name}", problem),))


def schema_of(kind: type) -> dict[str, Any]:
    """The JSON Schema of a type that only we know."""
    return dict(_RULES[kind][1])


def _made_by_rule(kind: type, value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("Expected `str`")
    return kind(_RULES[kind][0](value))
