"""A request's body as a JSON object, within bounds of size and time."""

import asyncio
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request

from vchat import limits
from vchat.errors import Refused, Why


async def json_object(request: Request) -> dict[str, Any]:
    """The body's JSON object; an empty body is an empty one.

    Raises Refused with PAYLOAD_TOO_LARGE, INVALID_JSON, or INVALID_REQUEST for other JSON.
    """
    body = await bounded_body(request)
    if not body:
        return {}
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(Why.INVALID_JSON, f"{error}.") from error
    except RecursionError as error:
        raise Refused(Why.INVALID_JSON, "The JSON is nested too deeply.") from error
    if not isinstance(value, dict):
        raise Refused(Why.INVALID_REQUEST, errors=(("", "Expected a JSON object"),))
    return value


async def bounded_body(request: Request) -> bytes:
    """The body's bytes. Raises Refused with PAYLOAD_TOO_LARGE or INVALID_REQUEST."""
    try:
        async with asyncio.timeout(limits.BODY_S):
            return await _bounded(request)
    except (TimeoutError, ClientDisconnect) as error:
        raise Refused(Why.INVALID_REQUEST, "The body did not arrive in time.") from error


async def _bounded(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limits.BODY_BYTES:
            raise Refused(Why.PAYLOAD_TOO_LARGE, f"A body has at most {limits.BODY_BYTES} bytes.")
    return bytes(body)
