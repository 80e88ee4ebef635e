"""A LiveKit server's control side: it checks what it receives as the real one would.

No LiveKit server comes from PyPI, npm or Debian. Tokens are therefore judged by LiveKit's own
verifier, and requests are decoded with LiveKit's own messages.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.json_format import MessageToDict
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KEY, SECRET = "APItest", "secret-for-tests-only-0123456789abcdef"
_METHODS = {
    "RemoveParticipant": ("RoomParticipantIdentity", "RemoveParticipantResponse"),
    "UpdateParticipant": ("UpdateParticipantRequest", "ParticipantInfo"),
    "DeleteRoom": ("DeleteRoomRequest", "DeleteRoomResponse"),
}
"""What is asked and what is answered, as `livekit.api` names it. That is slow to import, and many
have a LiveKit here to whom nobody speaks."""


@dataclass
class FakeLiveKit:
    """`asked` keeps the good requests as (method, fields). `absent` answers not_found."""

    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    absent: bool = False
    broken: bool = False

    def app(self) -> Starlette:
        path = "/twirp/livekit.RoomService/{method}"
        return Starlette(routes=[Route(path, self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        from livekit import api

        method = request.path_params["method"]
        if method not in _METHODS:
            return _error("bad_route", 404)
        if request.headers.get("content-type") != "application/protobuf":
            return _error("malformed", 400)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        claims = api.TokenVerifier(KEY, SECRET).verify(token)
        asked, answered = (getattr(api, name) for name in _METHODS[method])
        wanted = asked.FromString(await request.body())
        grants = claims.video
        if method == "DeleteRoom":
            allowed = grants is not None and grants.room_create
        else:
            allowed = grants is not None and grants.room_admin and grants.room == wanted.room
        if not allowed:
            return _error("permission_denied", 403)
        if self.broken:
            return _error("internal", 500)
        self.asked.append((method, MessageToDict(wanted, preserving_proto_field_name=True)))
        if self.absent:
            return _error("not_found", 404)
        return Response(answered().SerializeToString(), media_type="application/protobuf")


def webhook(event: str, event_id: str, **more: Any) -> tuple[bytes, str]:
    """A webhook's body and Authorization, signed by LiveKit's own library."""
    from livekit import api

    body = json.dumps({"event": event, "id": event_id, **more}).encode()
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return body, api.AccessToken(KEY, SECRET).with_sha256(digest).to_jwt()


def _error(code: str, status: int) -> Response:
    return JSONResponse({"code": code, "msg": code}, status)
