"""Refusals as problem+json (RFC 9457): the one place that turns them into HTTP answers."""

from math import ceil

import msgspec
from starlette.responses import Response

from functions.shapes import FieldProblem, Problem
from vchat.errors import Refused, Why

MEDIA_TYPE = "application/problem+json"


def problem_type(why: Why) -> str:
    """The stable name of a kind of problem. It names, and leads nowhere."""
    return f"urn:vchat:problem:{why.value.code}"


def problem_response(refused: Refused, request_id: str) -> Response:
    refusal = refused.why.value
    # A refusal without a status belongs to sockets; that it came here is our mistake.
    status = refusal.status or 500
    detail = refused.detail
    if refused.errors:
        detail = "; ".join(f"{pointer.lstrip('/') or 'body'}: {d}" for pointer, d in refused.errors)
    body = Problem(
        type=problem_type(refused.why),
        title=refusal.title,
        status=status,
        detail=detail,
        code=refusal.code,
        request_id=request_id,
        errors=tuple(FieldProblem(pointer=p, detail=d) for p, d in refused.errors),
    )
    response = Response(msgspec.json.encode(body), status, media_type=MEDIA_TYPE)
    if refused.retry_ms is not None:
        response.headers["Retry-After"] = str(max(1, ceil(refused.retry_ms / 1000)))
    return response
