"""Bytes out of bytes, and JSON out of JSON: small damage, of the kinds that parsers fall for."""

import json
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Any

_NUMBERS = (0, 1, 2, 4, 5, 0x7D, 0x7E, 0x7F, 0x80, 0x81, 0xFE, 0xFF)
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 7, 2**31, 2**53, 2**63, 2**64, -(2**63) - 1, 10**400),
    *(0.1, 1e308, "", " ", "\n", "\x00", "\ud800", "\u202e", "\u200d", "\u2028", "\ufeff"),
    *("e\u0301", "\u0344" * 40, "😀" * 64, "😀" * 65, "x" * 64, "x" * 65, "x" * 2000, "x" * 2001),
    *("x" * 4096, "__proto__", "hello", "chat", "signal", "leave", [], {}, [[]], {"": {}}),
)


def mutated(rng: Random, known: Sequence[bytes]) -> bytes:
    """One of the known inputs with one to four kinds of damage."""
    data = bytearray(rng.choice(known))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        _damage(rng, data, known)
    return bytes(data)


def _damage(rng: Random, data: bytearray, known: Sequence[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    match rng.randrange(8):
        case 0 if at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        case 1 if at < len(data):
            data[at] = rng.choice(_NUMBERS)
        case 2:
            del data[at : at + rng.randrange(1, 9)]
        case 3:
            data[at:at] = rng.randbytes(rng.randrange(1, 9))
        case 4:
            del data[at:]
        case 5:
            data[at:at] = data[at : at + rng.randrange(1, 33)]
        case 6:
            other = rng.choice(known)
            cut = rng.randrange(len(other) + 1)
            data[at:] = other[cut:]
        case _ if at < len(data):
            data[at] = (data[at] + rng.choice((-1, 1))) & 0xFF
        case _:
            pass


def mutated_json(rng: Random, known: Sequence[bytes]) -> bytes:
    """One of the known inputs with a value replaced, taken out or put in; or damaged as bytes."""
    data = rng.choice(known)
    with suppress(ValueError, RecursionError):
        value = json.loads(data)
        if isinstance(value, dict) and rng.random() < 0.7:
            for _ in range(rng.choice((1, 1, 2))):
                _replace(rng, value)
            ascii_only = rng.random() < 0.5
            with suppress(UnicodeEncodeError):  # a lone surrogate can only be escaped
                return json.dumps(value, ensure_ascii=ascii_only).encode()
            return json.dumps(value).encode()
    return mutated(rng, known)


def _replace(rng: Random, value: dict[str, Any]) -> None:
    inside = [one for one in value.values() if isinstance(one, dict) and one]
    if inside and rng.random() < 0.5:
        _replace(rng, rng.choice(inside))
        return
    name = rng.choice([*value, "extra"])
    if rng.random() < 0.15:
        value.pop(name, None)
    else:
        value[name] = rng.choice(_VALUES)
