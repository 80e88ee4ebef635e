"""Who may enter a room now, and as what."""

from dataclasses import dataclass

from functions.access import belongs, rank, require_no_ban, require_open
from functions.avatars import require_allowed
from functions.invites import is_invited
from functions.rates import spend
from functions.services import Services
from functions.shapes import TicketRequest
from functions.web import Call
from vchat import limits
from vchat.errors import Refused, Why
from vchat.model import Visibility
from vchat.policy import Action, Role, may


@dataclass(frozen=True, slots=True)
class Entry:
    """Leave to enter; `admitted` also while the room is locked."""

    role: Role
    admitted: bool
    muted: bool


async def judge_entry(call: Call, services: Services) -> Entry:
    """The caller's entry into the call's room; its body may hold an invite. Raises Refused."""
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
    return Entry(role, admitted, muted=standing is not None and standing.muted)
