"""Rooms: made, found, changed, ended."""

import msgspec

from functions.access import require, require_open, require_sight
from functions.rates import spend
from functions.services import Services
from functions.shapes import (
    MemberList,
    NewRoom,
    RoomChanges,
    RoomList,
    RoomQuery,
    RoomView,
    view_of,
)
from functions.speech import hang_up_all
from functions.telling import tell, tell_changed
from functions.web import Call, Operation, SignIn
from vchat import events, limits
from vchat.errors import Refused, Why
from vchat.ids import new_room_id
from vchat.model import Room, RoomStatus
from vchat.policy import Action
from vchat.times import rfc3339


async def make_room(call: Call, services: Services) -> RoomView:
    owner_id = call.account.id
    wanted = call.read(NewRoom)
    await spend(services, "rooms", owner_id, limits.ROOMS)
    room = Room(
        id=new_room_id(),
        name=wanted.name,
        description=wanted.description or "",
        visibility=wanted.visibility,
        capacity=wanted.capacity,
        owner_id=owner_id,
        status=RoomStatus.OPEN,
        locked=False,
        uses=wanted.uses,
        created_at=call.today,
        ended_at=None,
        expires_at=rfc3339(call.now + limits.ROOM_LIFE_S),
    )
    await services.store.add_room(room)
    return view_of(room, 0)


async def list_rooms(call: Call, services: Services) -> RoomList:
    wanted = call.read_query(RoomQuery)
    page = await services.store.public_rooms(
        query=wanted.q.strip(), limit=wanted.limit, cursor=wanted.cursor, now=call.today
    )
    inside = await services.state.occupancy([room.id for room in page.rooms])
    return RoomList(
        items=tuple(view_of(room, inside[room.id]) for room in page.rooms),
        next_cursor=page.next_cursor,
    )


async def show_room(call: Call, services: Services) -> RoomView:
    await require_sight(call, services)
    require_open(call)
    inside = await services.state.occupancy([call.room.id])
    return view_of(call.room, inside[call.room.id])


async def list_members(call: Call, services: Services) -> MemberList:
    await require_sight(call, services)
    require_open(call)
    return MemberList(items=await services.state.members(call.room.id))


async def change_room(call: Call, services: Services) -> RoomView:
    await require(call, services, Action.EDIT_ROOM)
    wanted = msgspec.structs.asdict(call.read(RoomChanges))
    require_open(call)
    changes = {name: value for name, value in wanted.items() if value is not None}
    changed = await change_open_room(call, services, changes)
    return view_of(changed, await tell_changed(services, changed))


async def change_open_room(call: Call, services: Services, changes: dict[str, object]) -> Room:
    """Change fields of the room as it is stored; one that ended meanwhile stays as it is."""

    def change(room: Room) -> Room:
        if room.status is RoomStatus.ENDED:
            raise Refused(Why.ROOM_ENDED)
        return msgspec.structs.replace(room, **changes)

    changed = await services.store.change_room(call.room.id, change)
    if changed is None:
        raise Refused(Why.ROOM_NOT_FOUND)
    return changed


async def delete_room(call: Call, services: Services) -> None:
    await require(call, services, Action.END_ROOM)
    require_open(call)
    await end_room(call, services, call.room)


async def end_room(call: Call, services: Services, room: Room) -> None:
    """End a room for everyone in it.

    The people first, the stored room second: should the second step fail, the room is still open
    and its owner can end it again; the other way around nobody could.
    """

    def end(room: Room) -> Room:
        return msgspec.structs.replace(room, status=RoomStatus.ENDED, ended_at=call.today)

    logged = await services.state.end_room(end(room), events.ended("ended"))
    await services.store.change_room(room.id, end)
    await tell(services, room.id, logged)
    await hang_up_all(services, room.id)


OPERATIONS = (
    Operation(
        target="rooms",
        method="POST",
        path="/rooms",
        summary="Make a room; it expires after 30 days",
        handler=make_room,
        body=NewRoom,
        answer=RoomView,
        status=201,
        refusals=(Why.TOO_FAST,),
    ),
    Operation(
        target="rooms",
        method="GET",
        path="/rooms",
        summary="Open public rooms, newest first; q finds a part of the name",
        handler=list_rooms,
        query=RoomQuery,
        answer=RoomList,
        sign_in=SignIn.NONE,
    ),
    Operation(
        target="rooms",
        method="GET",
        path="/rooms/{room_id}",
        summary="A room; private ones for those who belong to them",
        handler=show_room,
        answer=RoomView,
        sign_in=SignIn.OPTIONAL,
        refusals=(Why.INVITE_REQUIRED, Why.ROOM_ENDED),
    ),
    Operation(
        target="rooms",
        method="PATCH",
        path="/rooms/{room_id}",
        summary="Change a room; everyone inside is told",
        handler=change_room,
        body=RoomChanges,
        answer=RoomView,
        refusals=(Why.FORBIDDEN, Why.ROOM_ENDED),
    ),
    Operation(
        target="rooms",
        method="DELETE",
        path="/rooms/{room_id}",
        summary="End the room for everyone in it",
        handler=delete_room,
        status=204,
        refusals=(Why.FORBIDDEN, Why.ROOM_ENDED),
    ),
    Operation(
        target="rooms",
        method="GET",
        path="/rooms/{room_id}/members",
        summary="Who is in the room now",
        handler=list_members,
        answer=MemberList,
        refusals=(Why.INVITE_REQUIRED, Why.ROOM_ENDED),
    ),
)
