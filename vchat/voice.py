"""The port to voice rooms, and what a person may do there: the policy table once more."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from vchat.model import Avatar
from vchat.policy import Action, Role, may


def may_speak(role: Role, *, muted: bool) -> bool:
    return may(role, Action.SPEAK) and not muted


@dataclass(frozen=True, slots=True)
class Speaker:
    """Someone as the others of a voice room shall know them; they cannot change any of it."""

    room_id: str
    user_id: str
    name: str
    role: Role
    avatar: Avatar | None
    muted: bool


class Happening(StrEnum):
    JOINED = "joined"
    LEFT = "left"
    ENDED = "ended"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class News:
    """What a voice server tells. `connection` tells two stays of one person apart; ids that do not
    matter to a happening are empty."""

    id: str
    what: Happening
    room_id: str = ""
    user_id: str = ""
    connection: str = ""


class Voice(Protocol):
    """Voice rooms of a server elsewhere. Every wait has a deadline; Refused(UNAVAILABLE) after."""

    @property
    def url(self) -> str:
        """Where browsers connect, with a token."""

    def token(self, speaker: Speaker, *, now: float) -> str:
        """Leave to join one voice room within VOICE_TOKEN_S, with the least that the role needs."""

    async def let_speak(self, room_id: str, user_id: str, *, speak: bool) -> None:
        """Give or take the microphone of someone who may be there; absence is no error."""

    async def remove(self, room_id: str, user_id: str) -> None:
        """Send someone out. Their token may still be good: give them no other."""

    async def end(self, room_id: str) -> None:
        """Send everyone out."""

    def news(self, body: bytes, authorization: str, *, now: float) -> News:
        """What a call from the server says. Raises Refused(UNAUTHENTICATED) unless it signed
        exactly this body."""

    async def close(self) -> None: ...
