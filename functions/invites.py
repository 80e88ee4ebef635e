"""Invites: secrets that let their bearer into a private or locked room, until revoked."""

import hmac

from functions.access import require, require_open
from functions.services import Services
from functions.shapes import InviteMade
from functions.web import Call, Operation
from vchat import limits, opaque
from vchat.errors import Refused, Why
from vchat.ids import is_id
from vchat.model import Invite
from vchat.policy import Action
from vchat.times import rfc3339

_INVITE = "vi"


async def make_invite(call: Call, services: Services) -> InviteMade:
    await require(call, services, Action.INVITE)
    require_open(call)
    if len(await services.store.invites(call.room.id, now=call.today)) >= limits.INVITES:
        raise Refused(Why.CONFLICT, f"A room has at most {limits.INVITES} invites; revoke one.")
    token = opaque.make(_INVITE)
    invite = Invite(
        id=token.id,
        room_id=call.room.id,
        secret_hash=token.hash,
        expires_at=min(rfc3339(call.now + limits.INVITE_S), call.room.expires_at),
        created_by=call.account.id,
    )
    await services.store.add_invite(invite)
    return InviteMade(id=invite.id, invite=token.text, expires_at=invite.expires_at)


async def revoke_invite(call: Call, services: Services) -> None:
    await require(call, services, Action.INVITE)
    require_open(call)
    invite_id = call.params["invite_id"]
    if not (is_id(invite_id) and await services.store.revoke_invite(call.room.id, invite_id)):
        raise Refused(Why.NOT_FOUND, "The room has no such invite.")


async def is_invited(call: Call, services: Services, text: str) -> bool:
    """Whether this text is a good invite to the room."""
    presented = opaque.read(_INVITE, text)
    if presented is None:
        return False
    return any(
        invite.id == presented.id and hmac.compare_digest(invite.secret_hash, presented.hash)
        for invite in await services.store.invites(call.room.id, now=call.today)
    )


OPERATIONS = (
    Operation(
        target="rooms",
        method="POST",
        path="/rooms/{room_id}/invites",
        summary="Make an invite for 7 days; its secret is shown once",
        handler=make_invite,
        answer=InviteMade,
        status=201,
        refusals=(Why.FORBIDDEN, Why.CONFLICT, Why.ROOM_ENDED),
    ),
    Operation(
        target="rooms",
        method="DELETE",
        path="/rooms/{room_id}/invites/{invite_id}",
        summary="Revoke an invite",
        handler=revoke_invite,
        status=204,
        refusals=(Why.NOT_FOUND, Why.FORBIDDEN, Why.ROOM_ENDED),
    ),
)
