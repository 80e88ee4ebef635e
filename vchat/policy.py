"""Who may do what: one table of role and action, for HTTP, the relay and LiveKit alike."""

from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """Roles in a room, most powerful first."""

    OWNER = "owner"
    MODERATOR = "moderator"
    MEMBER = "member"
    SPECTATOR = "spectator"


class Action(StrEnum):
    POSE = "pose"
    CHAT = "chat"
    SIGNAL = "signal"
    SPEAK = "speak"
    INVITE = "invite"
    KICK = "kick"
    BAN = "ban"
    MUTE = "mute"
    LOCK = "lock"
    SLOW = "slow"
    EDIT_ROOM = "edit-room"
    SET_ROLE = "set-role"
    TRANSFER = "transfer"
    END_ROOM = "end-room"


_SPECTATOR: frozenset[Action] = frozenset()
_MEMBER = _SPECTATOR | {Action.POSE, Action.CHAT, Action.SIGNAL, Action.SPEAK}
_MODERATOR = _MEMBER | {
    Action.INVITE,
    Action.KICK,
    Action.BAN,
    Action.MUTE,
    Action.LOCK,
    Action.SLOW,
}
_OWNER = _MODERATOR | {Action.EDIT_ROOM, Action.SET_ROLE, Action.TRANSFER, Action.END_ROOM}

POLICY = MappingProxyType(
    {
        Role.OWNER: _OWNER,
        Role.MODERATOR: _MODERATOR,
        Role.MEMBER: _MEMBER,
        Role.SPECTATOR: _SPECTATOR,
    }
)
_RANK = MappingProxyType({role: rank for rank, role in enumerate(Role)})


def may(role: Role, action: Action) -> bool:
    """Whether someone with this role may do this at all."""
    return action in POLICY[role]


def may_act_on(actor: Role, action: Action, target: Role) -> bool:
    """Whether `actor` may do `action` to a person with the role `target`: only to lesser roles."""
    return may(actor, action) and _RANK[actor] < _RANK[target]
