"""The old front-end's way to call: Firebase's callable protocol, over the same handlers.

A call is POST /<name> with `{"data": …}` and a Firebase ID token; it answers `{"result": …}` or
`{"error": {"status", "message"}}` (firebase.google.com/docs/functions/callable-reference). Pages
reach it with `getFunctions(app, "<the API's base URL>")`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from functions import matching, rooms
from functions.body import json_object
from functions.edge import request_id
from functions.entry import judge_entry
from functions.exchange import account_of
from functions.lookup import find_room
from functions.rates import spend
from functions.services import Services
from functions.shapes import RoomView, view_of
from functions.speech import hang_up
from functions.telling import tell
from functions.voice import remember_caller
from functions.web import Call
from vchat import limits
from vchat.caller import caller_address
from vchat.errors import Refused, Why
from vchat.model import Visibility
from vchat.state import Reason
from vchat.voice import Speaker

PROVIDER = "firebase"
Answer = Mapping[str, Any]
_DONE: Answer = {"success": True}
_OF_STATUS = {
    400: ("INVALID_ARGUMENT", 400),
    401: ("UNAUTHENTICATED", 401),
    403: ("PERMISSION_DENIED", 403),
    404: ("NOT_FOUND", 404),
    409: ("FAILED_PRECONDITION", 400),
    410: ("FAILED_PRECONDITION", 400),
    413: ("INVALID_ARGUMENT", 400),
    429: ("RESOURCE_EXHAUSTED", 429),
    503: ("UNAVAILABLE", 503),
}


class _Privacy(msgspec.Struct, frozen=True, rename="camel"):
    is_private: bool = False


async def create_room(call: Call, services: Services) -> Answer:
    private = call.read(_Privacy).is_private
    visibility = Visibility.PRIVATE if private else Visibility.PUBLIC
    made = await rooms.make_room(
        replace(call, body={**call.body, "visibility": visibility.value}), services
    )
    return _room(made, ())


async def join_room(call: Call, services: Services) -> Answer:
    """Whether the caller may enter. Being there is the relay's or LiveKit's to say."""
    await judge_entry(call, services)
    members = await services.state.members(call.room.id)
    view = view_of(call.room, len(members))
    return _room(view, tuple(member.user_id for member in members))


async def leave_room(call: Call, services: Services) -> Answer:
    left = await services.state.leave(call.room.id, call.account.id, None, Reason.LEFT)
    await tell(services, call.room.id, left)
    await hang_up(services, call.room.id, call.account.id)
    return _DONE


async def end_room(call: Call, services: Services) -> Answer:
    await rooms.delete_room(call, services)
    return _DONE


async def generate_livekit_token(call: Call, services: Services) -> Answer:
    """A voice token. The old pages have no seat, so what is judged is whether they could have one;
    the name is the account's, whatever `participantName` says."""
    if services.voice is None:
        raise Refused(Why.CONFLICT, "Voice is not configured here.")
    entry = await judge_entry(call, services)
    await spend(services, "voice", call.account.id, limits.VOICE_TOKENS)
    await remember_caller(services, call.room.id, call.account.id)
    speaker = Speaker(
        room_id=call.room.id,
        user_id=call.account.id,
        name=call.account.name,
        role=entry.role,
        avatar=call.account.avatar,
        muted=entry.muted,
    )
    token = services.voice.token(speaker, now=call.now)
    return {"token": token, "url": services.voice.url, "livekitRoomId": call.room.id}


async def find_match(call: Call, services: Services) -> Answer:
    place = await matching.join_matching(call, services)
    return {
        "status": "matched" if place.status == "matched" else "waiting",
        "roomId": place.room_id,
        "partnerId": place.partner.user_id if place.partner else None,
    }


async def cancel_match(call: Call, services: Services) -> Answer:
    await matching.leave_matching(call, services)
    return _DONE


Handler = Callable[[Call, Services], Awaitable[Answer]]
_OF_A_ROOM: dict[str, Handler] = {
    "joinRoom": join_room,
    "leaveRoom": leave_room,
    "endRoom": end_room,
    "deleteRoom": end_room,
    "generateLivekitToken": generate_livekit_token,
}
_OTHERS: dict[str, Handler] = {
    "createRoom": create_room,
    "findMatch": find_match,
    "cancelMatch": cancel_match,
}


def routes(services: Services) -> list[BaseRoute]:
    """One address for each name; none where Firebase is not configured."""
    if PROVIDER not in services.providers:
        return []
    return [
        Route(f"/{name}", _endpoint(name, handler, services), methods=["POST"])
        for name, handler in (*_OF_A_ROOM.items(), *_OTHERS.items())
    ]


def _endpoint(
    name: str, handler: Handler, services: Services
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            call = await _call(request, services, needs_room=name in _OF_A_ROOM)
            return _json({"result": await handler(call, services)}, 200)
        except Refused as refused:
            return _error(refused, request_id(request.scope))

    return endpoint


async def _call(request: Request, services: Services, *, needs_room: bool) -> Call:
    data = (await json_object(request)).get("data")
    data = {} if data is None else data
    if not isinstance(data, dict):
        raise Refused(Why.INVALID_REQUEST, "Expected {data: {…}}.")
    call = Call(
        now=services.clock(),
        address=caller_address(request.scope, services.proxies),
        params={},
        query={},
        headers=request.headers,
        cookies={},
        body=data,
        raw=b"",
        caller=None,
        found_room=None,
    )
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Refused(Why.UNAUTHENTICATED, "Sign in with Firebase first.")
    person = await services.providers[PROVIDER].verify(token.strip(), now=call.now)
    call = replace(call, caller=await account_of(call, services, person))
    if not needs_room:
        return call
    room_id = data.get("roomId")
    if not isinstance(room_id, str):
        raise Refused(Why.INVALID_REQUEST, "roomId: This field is required.")
    return replace(call, found_room=await find_room(services, room_id, call.account.id))


def _room(room: RoomView, people: tuple[str, ...]) -> Answer:
    """A room in the old front-end's two vocabularies: its types and its store never agreed."""
    return {
        "roomId": room.id,
        "name": room.name,
        "description": room.description,
        "isPrivate": room.visibility is Visibility.PRIVATE,
        "createdBy": room.owner_id,
        "members": people,
        "participants": people,
        "maxMembers": room.capacity,
        "status": "active",
        "livekitRoomId": room.id,
        "createdAt": room.created_at,
        "endedAt": room.ended_at,
        "expiresAt": room.expires_at,
    }


def _error(refused: Refused, the_request_id: str) -> Response:
    status, http = _OF_STATUS.get(refused.why.value.status or 500, ("INTERNAL", 500))
    detail = refused.detail
    if refused.errors:
        detail = "; ".join(f"{pointer.lstrip('/')}: {what}" for pointer, what in refused.errors)
    details = {"code": refused.code, "requestId": the_request_id}
    error = {"status": status, "message": detail, "details": details}
    return _json({"error": error}, http)


def _json(body: Mapping[str, Any], status: int) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
