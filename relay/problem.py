"""A relay's refusals over HTTP: problem+json (RFC 9457), as the functions answer."""

from http import HTTPStatus
from math import ceil

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from vchat.errors import Refused, Why
from vchat.ids import new_id
from vchat.trace import trace_of


def problem(refused: Refused, scope: Scope) -> Response:
    """The answer that says no. It is never cached.

    No line of ours tells of it, or a flood would fill the log. Its id is that by which the front
    end's own log has the request, if there is one.
    """
    refusal = refused.why.value
    status = refusal.status or HTTPStatus.INTERNAL_SERVER_ERROR
    request_id = trace_of(scope) or new_id()
    body = {
        "type": f"urn:vchat:problem:{refusal.code}",
        "title": refusal.title,
        "status": status,
        "detail": refused.detail,
        "code": refusal.code,
        "requestId": request_id,
    }
    headers = {"Cache-Control": "no-store", "X-Request-Id": request_id}
    if refused.retry_ms is not None:
        headers["Retry-After"] = str(max(1, ceil(refused.retry_ms / 1000)))
    return Response(
        msgspec.json.encode(body), status, headers, media_type="application/problem+json"
    )


async def no_such_route(request: Request, error: Exception) -> Response:
    """What the router itself raises: 404, and 405 with Allow."""
    assert isinstance(error, HTTPException)
    why = Why.METHOD_NOT_ALLOWED if error.status_code == 405 else Why.NOT_FOUND
    response = problem(Refused(why), request.scope)
    if allow := (error.headers or {}).get("Allow"):
        response.headers["Allow"] = ", ".join(sorted(allow.split(", ")))
    return response
