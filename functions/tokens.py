"""Tickets to rooms, and the public keys that verify them."""

import msgspec

from functions.access import belongs, rank, require_no_ban, require_open
from functions.avatars import require_allowed
from functions.invites import is_invited
from functions.rates import spend
from functions.services import Services
from functions.shapes import Jwks, TicketMade, TicketRequest
from functions.web import Call, Operation, SignIn
from vchat import limits
from vchat.errors import Refused, Why
from vchat.keys import public_jwks
from vchat.model import Visibility
from vchat.policy import Action, may
from vchat.sharding import relay_for
from vchat.tokens import TICKET, sign, ticket_claims

_JWKS_CACHE_S = 300


async def make_ticket(call: Call, services: Services) -> TicketMade:
    room, account = call.room, call.account
    standing = await services.store.standing(room.id, account.id)
    require_no_ban(standing, call.today)
    # A kick keeps people out until the tickets they may still hold are dead.
    if barred := await services.state.barred(room.id, account.id):
        raise Refused(barred)
    wanted = call.read(TicketRequest)
    invited = False
    if wanted.invite is not None:
        # Before the invite is judged, or the rate would not limit guessing.
        await spend(services, "invite", account.id, limits.INVITE_TRIES)
        invited = await is_invited(call, services, wanted.invite)

    # Who sits inside may always come back in: to extend the session, or from another tab.
    members = await services.state.members(room.id)
    sits = any(member.user_id == account.id for member in members)
    known = belongs(room, account.id, standing)
    if room.visibility is Visibility.PRIVATE and not (invited or known or sits):
        raise Refused(Why.INVITE_REQUIRED)
    require_open(call)
    role = rank(room, account.id, standing)
    admitted = invited or may(role, Action.LOCK)
    if room.locked and not (admitted or sits):
        raise Refused(Why.ROOM_LOCKED)
    if len(members) >= room.capacity and not sits:
        raise Refused(Why.ROOM_FULL)
    require_allowed(account.avatar, room)
    await spend(services, "ticket", account.id, limits.TICKETS)

    await services.state.show_room(room)
    await services.state.remember_visit(account.id, room.id)
    claims = ticket_claims(
        user_id=account.id,
        room_id=room.id,
        role=role,
        name=account.name,
        avatar=account.avatar,
        admitted=admitted,
        muted=standing is not None and standing.muted,
    )
    ticket = sign(
        TICKET,
        claims,
        issuer=services.issuer,
        kid=services.keys.kid,
        key=services.keys.signing,
        now=int(call.now),
    )
    url = f"{relay_for(room.id, services.relay_urls)}/rooms/{room.id}"
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
        cache=f"public, max-age={_JWKS_CACHE_S}",
    ),
)
