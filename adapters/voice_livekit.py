"""LiveKit: access tokens, control of rooms and people, and its webhooks.

Tokens are made without LiveKit's library, which takes longer to import than everything else of a
function; it is imported when a room has to be controlled.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

import jwt
import msgspec

from vchat import limits
from vchat.errors import Refused, Why
from vchat.voice import Happening, News, Speaker, may_speak

if TYPE_CHECKING:
    from livekit.api import LiveKitAPI

_DEADLINE_S = 3.0
_LEEWAY_S = 60  # the official verifiers' own
_WHAT = {
    "participant_joined": Happening.JOINED,
    "participant_left": Happening.LEFT,
    "participant_connection_aborted": Happening.LEFT,
    "room_finished": Happening.ENDED,
}
_MICROPHONE = "microphone"


class _Named(msgspec.Struct):
    """A room or a participant, as far as we look; LiveKit leaves out what is empty."""

    name: str = ""
    identity: str = ""
    sid: str = ""


class _Told(msgspec.Struct):
    event: str
    id: str
    room: _Named = msgspec.field(default_factory=_Named)
    participant: _Named = msgspec.field(default_factory=_Named)


_read_told = msgspec.json.Decoder(_Told).decode


class LiveKit:
    """vchat.voice.Voice on one LiveKit server. `url` is its wss:// address."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        self._url = url
        self._key = key
        self._secret = secret
        self._api: LiveKitAPI | None = None

    @property
    def url(self) -> str:
        return self._url

    def token(self, speaker: Speaker, *, now: float) -> str:
        avatar = "" if speaker.avatar is None else msgspec.json.encode(speaker.avatar).decode()
        claims = {
            "iss": self._key,
            "sub": speaker.user_id,
            "nbf": int(now),
            "exp": int(now) + limits.VOICE_TOKEN_S,
            "name": speaker.name,
            "attributes": {"role": speaker.role.value, "avatar": avatar},
            "video": {
                "roomJoin": True,
                "room": speaker.room_id,
                "canPublish": may_speak(speaker.role, muted=speaker.muted),
                "canPublishSources": [_MICROPHONE],
                "canPublishData": False,
                "canSubscribe": True,
                "canUpdateOwnMetadata": False,
            },
        }
        return jwt.encode(claims, self._secret, algorithm="HS256")

    async def let_speak(self, room_id: str, user_id: str, *, speak: bool) -> None:
        from livekit import api

        permission = api.ParticipantPermission(
            can_subscribe=True,
            can_publish=speak,
            can_publish_sources=[api.TrackSource.MICROPHONE],
            can_publish_data=False,
            can_update_metadata=False,
        )
        wanted = api.UpdateParticipantRequest(room=room_id, identity=user_id, permission=permission)
        await self._reach(self._server().room.update_participant(wanted))

    async def remove(self, room_id: str, user_id: str) -> None:
        from livekit import api

        wanted = api.RoomParticipantIdentity(room=room_id, identity=user_id)
        await self._reach(self._server().room.remove_participant(wanted))

    async def end(self, room_id: str) -> None:
        from livekit import api

        await self._reach(self._server().room.delete_room(api.DeleteRoomRequest(room=room_id)))

    def news(self, body: bytes, authorization: str, *, now: float) -> News:
        try:
            if len(authorization) > limits.TOKEN_BYTES:
                raise ValueError("too long")
            claims = jwt.decode(
                authorization,
                self._secret,
                algorithms=["HS256"],
                issuer=self._key,
                options={
                    "require": ["iss", "exp", "sha256"],
                    "verify_exp": False,  # judged below, by the caller's clock
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
            starts, ends = claims.get("nbf", 0), claims["exp"]
            if not (type(starts) is type(ends) is int):
                raise ValueError("times must be whole seconds")
            if not starts - _LEEWAY_S <= now < ends + _LEEWAY_S:
                raise ValueError("not now")
            digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
            if not hmac.compare_digest(str(claims["sha256"]).encode(), digest.encode()):
                raise ValueError("signed for another body")
            told = _read_told(body)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Refused(Why.UNAUTHENTICATED, "This was not signed by our LiveKit.") from error
        return News(
            id=told.id,
            what=_WHAT.get(told.event, Happening.OTHER),
            room_id=told.room.name,
            user_id=told.participant.identity,
            connection=told.participant.sid,
        )

    async def close(self) -> None:
        if self._api is not None:
            await self._api.aclose()

    def _server(self) -> "LiveKitAPI":
        if self._api is None:
            from livekit import api

            self._api = api.LiveKitAPI(self._url, self._key, self._secret)
        return self._api

    async def _reach(self, call: Awaitable[Any]) -> None:
        import aiohttp
        from livekit import api

        try:
            async with asyncio.timeout(_DEADLINE_S):
                await call
        except api.ServerError as error:
            if error.code != api.ServerErrorCode.NOT_FOUND:
                raise _away() from error
        except (aiohttp.ClientError, TimeoutError, OSError, json.JSONDecodeError) as error:
            raise _away() from error


def _away() -> Refused:
    return Refused(Why.UNAVAILABLE, "The voice server cannot be reached; try again soon.")
