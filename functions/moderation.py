"""Moderation: acting on people in a room, and on its door.

The durable half (bans, mutes, roles, the lock) goes into the store, the immediate half into the
shared state, and the relays act on the event they are told.
"""

import logging
from dataclasses import dataclass

import msgspec

from functions.access import rank, require, require_no_ban, require_open
from functions.fields import bad_field
from functions.rooms import change_open_room
from functions.services import Services
from functions.shapes import Act, Moderation
from functions.speech import hang_up, let_speak
from functions.telling import tell, tell_changed
from functions.web import Call, Operation
from vchat.errors import Refused, Why
from vchat.model import Room, RoomStatus, Standing
from vchat.policy import Action, Role, may_act_on
from vchat.state import Reason
from vchat.times import parse_rfc3339
from vchat.tokens import TICKET_KNOWN_S, outdated_note

_log = logging.getLogger("vchat.moderation")
_POLICY = {
    Act.KICK: Action.KICK,
    Act.BAN: Action.BAN,
    Act.UNBAN: Action.BAN,
    Act.MUTE: Action.MUTE,
    Act.UNMUTE: Action.MUTE,
    Act.ROLE: Action.SET_ROLE,
    Act.TRANSFER: Action.TRANSFER,
}


@dataclass(frozen=True, slots=True)
class _Case:
    call: Call
    services: Services
    wanted: Moderation
    user_id: str

    @property
    def room_id(self) -> str:
        return self.call.room.id


async def moderate(call: Call, services: Services) -> None:
    actor = await require(call, services, Action.LOCK)  # the least that any moderator may
    wanted = call.read(Moderation)
    if wanted.action in (Act.LOCK, Act.UNLOCK, Act.SLOW):
        changes = _changes(wanted)
        require_open(call)
        await tell_changed(services, await change_open_room(call, services, changes))
    else:
        case = _Case(call, services, wanted, _checked_user(call, wanted))
        await _require_rank(case, actor)
        require_open(call)
        await _ACTS[wanted.action](case)
    _log.info(
        "moderated",
        extra={
            "room": call.room.id,
            "by": call.account.id,
            "action": wanted.action.value,
            "user": wanted.user_id,
            "reason": wanted.reason,
        },
    )


def _changes(wanted: Moderation) -> dict[str, object]:
    if wanted.action is not Act.SLOW:
        return {"locked": wanted.action is Act.LOCK}
    if wanted.seconds is None:
        raise bad_field("seconds", "This field is required to slow")
    return {"slow_mode_s": wanted.seconds}


def _checked_user(call: Call, wanted: Moderation) -> str:
    if wanted.user_id is None:
        raise bad_field("userId", f"This field is required to {wanted.action.value}")
    if wanted.action is Act.ROLE and wanted.role is None:
        raise bad_field("role", "This field is required to role")
    if wanted.until is not None and wanted.until <= call.today:
        raise bad_field("until", "Expected a time that is not over")
    return wanted.user_id


async def _require_rank(case: _Case, actor: Role) -> None:
    room = case.call.room
    standing = await case.services.store.standing(room.id, case.user_id)
    target = rank(room, case.user_id, standing)
    action = _POLICY[case.wanted.action]
    if not may_act_on(actor, action, target):
        raise Refused(
            Why.FORBIDDEN, f"As {actor.value} you may not {action.value} a person who is {target}."
        )


async def _kick(case: _Case) -> None:
    state = case.services.state
    logged = await state.leave(case.room_id, case.user_id, None, Reason.KICKED)
    await tell(case.services, case.room_id, logged)
    called = await hang_up(case.services, case.room_id, case.user_id)
    if logged is None and not called:
        raise Refused(Why.CONFLICT, "This person is not in the room.")


async def _ban(case: _Case) -> None:
    await _require_person(case)
    until = case.wanted.until

    def ban(standing: Standing) -> Standing:
        return msgspec.structs.replace(
            standing,
            role=None,
            banned=True,
            banned_until=until,
            ban_reason=case.wanted.reason,
        )

    await case.services.store.change_standing(case.room_id, case.user_id, ban)
    until_ms = None if until is None else round(parse_rfc3339(until) * 1000)
    await case.services.state.ban(case.room_id, case.user_id, until_ms)
    logged = await case.services.state.leave(case.room_id, case.user_id, None, Reason.BANNED)
    await tell(case.services, case.room_id, logged)
    await hang_up(case.services, case.room_id, case.user_id)


async def _unban(case: _Case) -> None:
    def unban(standing: Standing) -> Standing:
        return msgspec.structs.replace(standing, banned=False, banned_until=None, ban_reason=None)

    if await case.services.store.standing(case.room_id, case.user_id) is not None:
        await case.services.store.change_standing(case.room_id, case.user_id, unban)
    await case.services.state.unban(case.room_id, case.user_id)


async def _mute(case: _Case) -> None:
    await _require_person(case)
    muted = case.wanted.action is Act.MUTE

    def mute(standing: Standing) -> Standing:
        return msgspec.structs.replace(standing, muted=muted)

    standing = await case.services.store.change_standing(case.room_id, case.user_id, mute)
    await _amend(case, case.user_id, standing, {"muted": muted})


async def _set_role(case: _Case) -> None:
    await _require_person(case)
    assert case.wanted.role is not None, "checked with the other fields"
    role = Role(case.wanted.role)

    def give(standing: Standing) -> Standing:
        return msgspec.structs.replace(standing, role=role)

    standing = await case.services.store.change_standing(case.room_id, case.user_id, give)
    await _amend(case, case.user_id, standing, {"role": role.value})


async def _transfer(case: _Case) -> None:
    """Give the room to somebody else; who gave it stays as a moderator."""
    await _require_person(case)
    services, old_id, new_id = case.services, case.call.account.id, case.user_id
    try:
        require_no_ban(await services.store.standing(case.room_id, new_id), case.call.today)
    except Refused as refused:
        raise Refused(Why.CONFLICT, "This person is banned from the room.") from refused

    def give(room: Room) -> Room:
        if room.status is RoomStatus.ENDED:
            raise Refused(Why.ROOM_ENDED)
        if room.owner_id != old_id:  # given away meanwhile, by another request of the same person
            raise Refused(Why.FORBIDDEN, "The room is no longer yours.")
        return msgspec.structs.replace(room, owner_id=new_id)

    def step_down(standing: Standing) -> Standing:
        return msgspec.structs.replace(standing, role=Role.MODERATOR)

    def step_up(standing: Standing) -> Standing:
        return msgspec.structs.replace(standing, role=None, muted=False)

    room = await services.store.change_room(case.room_id, give)
    if room is None:
        raise Refused(Why.ROOM_NOT_FOUND)
    old = await services.store.change_standing(case.room_id, old_id, step_down)
    new = await services.store.change_standing(case.room_id, new_id, step_up)
    await tell_changed(services, room)
    await _amend(case, old_id, old, {"role": Role.MODERATOR.value})
    await _amend(case, new_id, new, {"role": Role.OWNER.value, "muted": False})


async def _amend(case: _Case, user_id: str, standing: Standing, changes: dict[str, object]) -> None:
    """Change someone who may be in the room, for their relay and their voice call."""
    services, room_id = case.services, case.room_id
    # After the change is stored and before the seat hears of it: a ticket from before is no way
    # around the act, neither by leaving and coming in again nor as a refresh.
    now = b"%d" % (services.clock() * 1000)
    await services.state.put_note(outdated_note(room_id, user_id), now, TICKET_KNOWN_S)
    await tell(services, room_id, await services.state.amend(room_id, user_id, changes))
    role = (
        Role(str(changes["role"])) if "role" in changes else rank(case.call.room, user_id, standing)
    )
    await let_speak(services, case.room_id, user_id, role, muted=standing.muted)


async def _require_person(case: _Case) -> None:
    """What lasts is only remembered of people there are, so that nobody can fill the store."""
    if await case.services.store.account(case.user_id) is None:
        raise bad_field("userId", "There is no such person")


_ACTS = {
    Act.KICK: _kick,
    Act.BAN: _ban,
    Act.UNBAN: _unban,
    Act.MUTE: _mute,
    Act.UNMUTE: _mute,
    Act.ROLE: _set_role,
    Act.TRANSFER: _transfer,
}

OPERATIONS = (
    Operation(
        target="rooms",
        method="POST",
        path="/rooms/{room_id}/moderation",
        summary="Act on a person in the room (userId), or on the room (lock, unlock, slow)",
        handler=moderate,
        body=Moderation,
        status=204,
        refusals=(Why.FORBIDDEN, Why.CONFLICT, Why.ROOM_ENDED),
    ),
)
