"""Moderation: acting on people in a room, and on its door.

The durable half (bans, mutes, roles, the lock) goes into the store, the immediate half into the
shared state, and the relays act on the event they are told.
"""

import logging
from dataclasses import dataclass

import msgspec

from functions.access import rank, require, require_open
from functions.fields import bad_field
from functions.rooms import change_open_room
from functions.services import Services
from functions.shapes import Act, Moderation
from functions.telling import tell, tell_changed
from functions.web import Call, Operation
from vchat.errors import Refused, Why
from vchat.model import Standing
from vchat.policy import Action, Role, may_act_on
from vchat.state import Reason
from vchat.times import parse_rfc3339

_log = logging.getLogger("vchat.moderation")
_POLICY = {
    Act.KICK: Action.KICK,
    Act.BAN: Action.BAN,
    Act.UNBAN: Action.BAN,
    Act.MUTE: Action.MUTE,
    Act.UNMUTE: Action.MUTE,
    Act.ROLE: Action.SET_ROLE,
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
    if wanted.action in (Act.LOCK, Act.UNLOCK):
        require_open(call)
        locked = wanted.action is Act.LOCK
        await tell_changed(services, await change_open_room(call, services, {"locked": locked}))
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
    if logged is None:
        raise Refused(Why.CONFLICT, "This person is not in the room.")
    await tell(case.services, case.room_id, logged)


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

    await case.services.store.change_standing(case.room_id, case.user_id, mute)
    logged = await case.services.state.amend(case.room_id, case.user_id, {"muted": muted})
    await tell(case.services, case.room_id, logged)


async def _set_role(case: _Case) -> None:
    await _require_person(case)
    assert case.wanted.role is not None, "checked with the other fields"
    role = Role(case.wanted.role)

    def give(standing: Standing) -> Standing:
        return msgspec.structs.replace(standing, role=role)

    await case.services.store.change_standing(case.room_id, case.user_id, give)
    logged = await case.services.state.amend(case.room_id, case.user_id, {"role": role.value})
    await tell(case.services, case.room_id, logged)


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
}

OPERATIONS = (
    Operation(
        target="rooms",
        method="POST",
        path="/rooms/{room_id}/moderation",
        summary="Act on a person in the room (userId), or on its door (lock, unlock)",
        handler=moderate,
        body=Moderation,
        status=204,
        refusals=(Why.FORBIDDEN, Why.CONFLICT, Why.ROOM_ENDED),
    ),
)
