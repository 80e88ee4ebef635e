"""What the voice server tells us: who is in a call, held against who may be."""

from functions.services import Services
from functions.speech import hang_up, let_speak
from functions.telling import tell
from functions.voice import caller
from functions.web import Call, Operation, SignIn
from vchat.errors import Refused, Why
from vchat.ids import is_room_id
from vchat.model import Member
from vchat.voice import Happening, News, may_speak

_REPEATS_S = 24 * 3600
"""The server repeats what we did not answer; longer than that it does not try."""
_STAY_S = 24 * 3600


async def hear_livekit(call: Call, services: Services) -> None:
    if services.voice is None:
        raise Refused(Why.NOT_FOUND, "Voice is not configured here.")
    news = services.voice.news(call.raw, call.headers.get("authorization", ""), now=call.now)
    heard = f"voice-news:{news.id}"
    if await services.state.note(heard) is not None:
        return
    if is_room_id(news.room_id):
        await _act(services, news)
    # Not before: what we failed to act on must be told again. Acting twice harms nothing.
    await services.state.put_note(heard, b"", _REPEATS_S)


async def _act(services: Services, news: News) -> None:
    members = {member.user_id: member for member in await services.state.members(news.room_id)}
    match news.what:
        case Happening.JOINED:
            await _joined(services, news, members.get(news.user_id))
        case Happening.LEFT:
            # Someone who came back on a new connection is told to have left on the old one.
            if await services.state.note(_stay(news)) == news.connection.encode():
                await _show(services, news.room_id, news.user_id, voice=False)
        case Happening.ENDED:
            for user_id in members:
                await _show(services, news.room_id, user_id, voice=False)


async def _joined(services: Services, news: News, member: Member | None) -> None:
    known = (
        await caller(services, news.room_id, news.user_id)
        if member is None
        else (member.role, member.muted)
    )
    if known is None:
        await hang_up(services, news.room_id, news.user_id)
        return
    # Their token may be older than what was decided about them since.
    role, muted = known
    if not may_speak(role, muted=muted):
        await let_speak(services, news.room_id, news.user_id, role, muted=muted)
    if member is None:
        return  # who has no seat is not shown
    await services.state.put_note(_stay(news), news.connection.encode(), _STAY_S)
    await _show(services, news.room_id, news.user_id, voice=True)


async def _show(services: Services, room_id: str, user_id: str, *, voice: bool) -> None:
    await tell(services, room_id, await services.state.amend(room_id, user_id, {"voice": voice}))


def _stay(news: News) -> str:
    return f"voice-stay:{news.room_id}:{news.user_id}"


OPERATIONS = (
    Operation(
        target="tokens",
        method="POST",
        path="/hooks/livekit",
        summary="For LiveKit's webhooks, which are signed",
        handler=hear_livekit,
        signed_body=True,
        status=204,
        sign_in=SignIn.NONE,
        refusals=(Why.NOT_FOUND, Why.UNAUTHENTICATED, Why.PAYLOAD_TOO_LARGE),
    ),
)
