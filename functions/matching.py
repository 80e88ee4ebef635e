"""Meeting someone by chance: wait, be paired with who waited longest, get a ticket to one room."""

import dataclasses

import msgspec

from functions.rates import spend
from functions.services import Services
from functions.shapes import MatchPlace, MatchStatistics, MatchWishes, Partner
from functions.tokens import make_ticket
from functions.web import Call, Operation, SignIn
from vchat import limits
from vchat.errors import Refused, Why
from vchat.ids import new_room_id
from vchat.matching import Match, Queue, Waiter, Wishes, partners
from vchat.model import Room, RoomStatus, Standing, Visibility
from vchat.policy import Role
from vchat.sharding import relay_for
from vchat.text import search_key
from vchat.times import rfc3339
from vchat.tokens import LOBBY, sign

_LOOKED_AT = 200
"""How many of those who wait longest one caller is held against."""
_NAME = "Match"


async def join_matching(call: Call, services: Services) -> MatchPlace:
    queue, wanted = _queue(services), call.read(MatchWishes)
    await spend(services, "matching", call.account.id, limits.MATCH_TRIES)
    me = Waiter(
        user_id=call.account.id,
        name=call.account.name,
        wishes=Wishes(
            language=wanted.language,
            interests=tuple(search_key(one.strip()) for one in wanted.interests),
            avoid=wanted.avoid,
        ),
    )

    async def wait() -> MatchPlace:
        place = await queue.wait(me, most_s=wanted.max_wait_s)
        return await _told(call, services, me, place, wanted.avoid_relays)

    told = await wait()
    # None for who just came: what they were told of is a match that is over. They wait afresh.
    return await wait() if told.status == "none" else told


async def look_at_matching(call: Call, services: Services) -> MatchPlace:
    queue = _queue(services)
    await spend(services, "matching", call.account.id, limits.MATCH_TRIES)
    place = await queue.stay(call.account.id)
    return await _told(call, services, await queue.waiter(call.account.id), place)


async def leave_matching(call: Call, services: Services) -> None:
    await _queue(services).leave(call.account.id)


async def matching_statistics(call: Call, services: Services) -> MatchStatistics:
    found = await _queue(services).statistics()
    return MatchStatistics(**dataclasses.asdict(found))


async def _told(
    call: Call,
    services: Services,
    me: Waiter | None,
    place: Match | int | None,
    avoid: tuple[str, ...] = (),
) -> MatchPlace:
    if me is not None and isinstance(place, int):
        place = await _pair(_queue(services), me) or place
    if isinstance(place, Match):
        try:
            return await _matched(call, services, place, avoid)
        except Refused as refused:
            if refused.why in (Why.TOO_FAST, Why.UNAVAILABLE):
                raise
            # The room takes them no more, or has ended: the match is over.
            await _queue(services).leave(call.account.id)
            place = None
    if place is None:
        return MatchPlace(status="none")
    ticket = sign(
        LOBBY,
        {"sub": call.account.id},
        issuer=services.issuer,
        kid=services.keys.kid,
        key=services.keys.signing,
        now=int(call.now),
    )
    return MatchPlace(
        status="waiting",
        waited_ms=place,
        ticket=ticket,
        # Any relay will do, so people are spread over all of them.
        url=f"{relay_for(call.account.id, services.relay_urls, avoid)}/lobby",
        expires_in=LOBBY.life_s,
    )


async def _pair(queue: Queue, me: Waiter) -> Match | None:
    """Pair someone who waits with the first who suits and is still there, if anybody is."""
    for host in partners(me, await queue.waiting(_LOOKED_AT)):
        if await queue.pair(host, me, new_room_id()):
            break
    place = await queue.stay(me.user_id)  # paired by us, or by somebody else meanwhile
    return place if isinstance(place, Match) else None


async def _matched(
    call: Call, services: Services, match: Match, avoid: tuple[str, ...]
) -> MatchPlace:
    room = await _room(call, services, match)
    wish = {"avoid": list(avoid)}
    ticket = await make_ticket(dataclasses.replace(call, found_room=room, body=wish), services)
    await _queue(services).took(call.account.id)
    return MatchPlace(
        status="matched",
        room_id=room.id,
        partner=Partner(user_id=match.partner_id, name=match.partner_name),
        ticket=ticket.ticket,
        url=ticket.url,
        expires_in=ticket.expires_in,
    )


async def _room(call: Call, services: Services, match: Match) -> Room:
    """The pair's room, made by whoever of the two comes first."""
    known = await services.store.room(match.room_id)
    if known is None:
        room = Room(
            id=match.room_id,
            name=_NAME,
            description="",
            visibility=Visibility.PRIVATE,
            capacity=2,
            owner_id=match.host_id,
            status=RoomStatus.OPEN,
            locked=False,
            created_at=call.today,
            ended_at=None,
            expires_at=rfc3339(call.now + limits.MATCH_ROOM_S),
        )
        try:
            await services.store.add_room(room)
        except Refused as refused:
            if refused.why is not Why.CONFLICT:  # the other one made it at the same time
                raise
        known = await services.store.room(match.room_id) or room
    if call.account.id != known.owner_id:
        await services.store.change_standing(known.id, call.account.id, _belonging)
    return known


def _belonging(standing: Standing) -> Standing:
    # A given role lets a person into a private room; one that was given since stays.
    return msgspec.structs.replace(standing, role=standing.role or Role.MEMBER)


def _queue(services: Services) -> Queue:
    if services.queue is None:
        raise Refused(Why.NOT_FOUND, "Matching is not configured here.")
    return services.queue


_REFUSALS = (Why.NOT_FOUND, Why.TOO_FAST)

OPERATIONS = (
    Operation(
        target="rooms",
        method="POST",
        path="/matching",
        summary="Wait to meet someone, or stay; a match comes with a ticket to its room",
        handler=join_matching,
        body=MatchWishes,
        answer=MatchPlace,
        refusals=_REFUSALS,
    ),
    Operation(
        target="rooms",
        method="GET",
        path="/matching",
        summary="Where the caller stands; asking at least every 10 seconds keeps the place",
        handler=look_at_matching,
        answer=MatchPlace,
        refusals=_REFUSALS,
    ),
    Operation(
        target="rooms",
        method="DELETE",
        path="/matching",
        summary="Wait no longer",
        handler=leave_matching,
        status=204,
        refusals=(Why.NOT_FOUND,),
    ),
    Operation(
        target="rooms",
        method="GET",
        path="/matching/statistics",
        summary="How many wait, how many were paired, and how long it took",
        handler=matching_statistics,
        answer=MatchStatistics,
        sign_in=SignIn.NONE,
        refusals=(Why.NOT_FOUND,),
    ),
)
