"""What a person is in a room, and what follows from that over HTTP."""

from functions.services import Services
from functions.web import Call
from vchat.errors import Refused, Why
from vchat.model import Room, RoomStatus, Standing, Visibility
from vchat.policy import Action, Role, may


def rank(room: Room, account_id: str, standing: Standing | None) -> Role:
    """A person's role in a room: owning it, a role that was given, or else member."""
    if room.owner_id == account_id:
        return Role.OWNER
    return (standing and standing.role) or Role.MEMBER


async def rank_of_caller(call: Call, services: Services) -> Role:
    standing = await services.store.standing(call.room.id, call.account.id)
    return rank(call.room, call.account.id, standing)


async def require(call: Call, services: Services, action: Action) -> Role:
    """The caller's role, or Refused(FORBIDDEN) when it may not do this at all."""
    role = await rank_of_caller(call, services)
    if not may(role, action):
        raise Refused(Why.FORBIDDEN, f"As {role.value} you may not {action.value} here.")
    return role


def require_no_ban(standing: Standing | None, today: str) -> None:
    """Raises Refused(BANNED), which says until when and why, as far as these were given."""
    if standing is None or not standing.banned:
        return
    until = standing.banned_until
    if until is not None and until <= today:
        return
    detail = "You are banned from this room" + (f" until {until}" if until else "")
    reason = f": {standing.ban_reason}" if standing.ban_reason else ""
    raise Refused(Why.BANNED, f"{detail}{reason}.")


def belongs(room: Room, account_id: str, standing: Standing | None) -> bool:
    """Whether a private room knows the person: the owner, and everyone who was given a role."""
    given = standing is not None and standing.role is not None
    return room.owner_id == account_id or given


async def sits(services: Services, room: Room, account_id: str) -> bool:
    members = await services.state.members(room.id)
    return any(member.user_id == account_id for member in members)


async def require_sight(call: Call, services: Services) -> None:
    """Public rooms are seen by all; private ones by those who belong to them or sit inside."""
    room = call.room
    if room.visibility is Visibility.PUBLIC:
        return
    account = call.account
    standing = await services.store.standing(room.id, account.id)
    if belongs(room, account.id, standing) or await sits(services, room, account.id):
        return
    raise Refused(Why.INVITE_REQUIRED)


def is_open(room: Room, today: str) -> bool:
    return room.status is RoomStatus.OPEN and room.expires_at > today


def require_open(call: Call) -> None:
    if not is_open(call.room, call.today):
        raise Refused(Why.ROOM_ENDED)
