"""Tickets to rooms, and the public keys that verify them."""

import msgspec

from functions.entry import judge_entry
from functions.rates import spend
from functions.services import Services
from functions.shapes import Jwks, TicketMade, TicketRequest
from functions.web import Call, Operation, SignIn
from vchat import limits
from vchat.errors import Why
from vchat.keys import public_jwks
from vchat.policy import Role
from vchat.sharding import relay_for
from vchat.tokens import TICKET, sign, ticket_claims


async def make_ticket(call: Call, services: Services) -> TicketMade:
    room, account = call.room, call.account
    entry = await judge_entry(call, services)
    await spend(services, "ticket", account.id, limits.TICKETS)
    await services.state.show_room(room)
    await services.state.remember_visit(account.id, room.id)
    wanted = call.read(TicketRequest)
    claims = ticket_claims(
        user_id=account.id,
        room_id=room.id,
        role=Role.SPECTATOR if wanted.spectate else entry.role,
        name=account.name,
        avatar=account.avatar,
        admitted=entry.admitted,
        muted=entry.muted,
        made_at=call.now,
    )
    ticket = sign(
        TICKET,
        claims,
        issuer=services.issuer,
        kid=services.keys.kid,
        key=services.keys.signing,
        now=int(call.now),
    )
    url = f"{relay_for(room.id, services.relay_urls, wanted.avoid)}/rooms/{room.id}"
    return TicketMade(ticket=ticket, url=url, expires_in=TICKET.life_s)


async def jwks(call: Call, services: Services) -> Jwks:
    return msgspec.convert(public_jwks(services.keys.public), Jwks)


OPERATIONS = (
    Operation(
        target="tokens",
        method="POST",
        path="/rooms/{room_id}/tickets",
        summary="A ticket to the room: for one minute, for one use, at the relay that url names",
        handler=make_ticket,
        body=TicketRequest,
        answer=TicketMade,
        status=201,
        refusals=(
            Why.BANNED,
            Why.KICKED,
            Why.INVITE_REQUIRED,
            Why.ROOM_ENDED,
            Why.ROOM_LOCKED,
            Why.ROOM_FULL,
            Why.AVATAR_NOT_ALLOWED,
            Why.TOO_FAST,
        ),
    ),
    Operation(
        target="tokens",
        method="GET",
        path="/.well-known/jwks.json",
        summary="Public keys of tickets and access tokens",
        handler=jwks,
        answer=Jwks,
        sign_in=SignIn.NONE,
        cache=f"public, max-age={limits.JWKS_S}",
    ),
)
