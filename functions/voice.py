"""Leave to join a room's voice call, for those who have a seat in it."""

from functions.access import is_open, rank, require_no_ban, require_open
from functions.rates import spend
from functions.services import Services
from functions.shapes import VoiceTokenMade
from functions.web import Call, Operation
from vchat import limits
from vchat.errors import Refused, Why
from vchat.policy import Role
from vchat.times import rfc3339
from vchat.voice import Speaker


async def make_voice_token(call: Call, services: Services) -> VoiceTokenMade:
    room, account, voice = call.room, call.account, services.voice
    if voice is None:
        raise Refused(Why.NOT_FOUND, "Voice is not configured here.")
    require_no_ban(await services.store.standing(room.id, account.id), call.today)
    if barred := await services.state.barred(room.id, account.id):
        raise Refused(barred)
    require_open(call)
    members = await services.state.members(room.id)
    member = next((one for one in members if one.user_id == account.id), None)
    if member is None:
        raise Refused(Why.CONFLICT, "Join the room first.")
    await spend(services, "voice", account.id, limits.VOICE_TOKENS)
    speaker = Speaker(
        room_id=room.id,
        user_id=account.id,
        name=member.name,
        role=member.role,
        avatar=member.avatar,
        muted=member.muted,
    )
    return VoiceTokenMade(
        token=voice.token(speaker, now=call.now), url=voice.url, expires_in=limits.VOICE_TOKEN_S
    )


async def remember_caller(services: Services, room_id: str, user_id: str) -> None:
    """Someone may join the call without a seat, as pages that know nothing of relays do."""
    # The visit first: by it the end of the account finds the call.
    await services.state.remember_visit(user_id, room_id)
    await services.state.put_note(_caller(room_id, user_id), b"", limits.VISIT_S)


async def caller(services: Services, room_id: str, user_id: str) -> tuple[Role, bool] | None:
    """Role and mute of someone who may be in the call without a seat, still; None if not so."""
    state, store = services.state, services.store
    if await state.note(_caller(room_id, user_id)) is None or await state.barred(room_id, user_id):
        return None
    room = await store.room(room_id)
    if room is None or not is_open(room, rfc3339(services.clock())):
        return None
    if await store.account(user_id) is None:
        return None
    standing = await store.standing(room_id, user_id)
    return rank(room, user_id, standing), standing is not None and standing.muted


async def forget_caller(services: Services, room_id: str, user_id: str) -> bool:
    """Someone without a seat needs a new token. False when it was so before."""
    return await services.state.take_note(_caller(room_id, user_id)) is not None


def _caller(room_id: str, user_id: str) -> str:
    return f"voice-caller:{room_id}:{user_id}"


OPERATIONS = (
    Operation(
        target="tokens",
        method="POST",
        path="/rooms/{room_id}/voice-tokens",
        summary="Leave to join the room's voice call within five minutes; a seat is needed",
        handler=make_voice_token,
        answer=VoiceTokenMade,
        status=201,
        refusals=(
            Why.NOT_FOUND,
            Why.BANNED,
            Why.KICKED,
            Why.ROOM_ENDED,
            Why.CONFLICT,
            Why.TOO_FAST,
        ),
    ),
)
