"""Who may come in: tickets and resume tokens are judged here, and turned into a guest."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vchat import limits, tokens
from vchat.errors import Refused, Why
from vchat.ids import new_session_id
from vchat.inbound import Resume
from vchat.state import Guest, Position, Resumable, State


@dataclass(frozen=True, slots=True)
class Admission:
    """Someone let in: who, as which session, until when (ms), and from where they resume."""

    guest: Guest
    session: str
    expires_at: int
    resume_from: Position | None = None
    moving: bool = False
    """Whether another connection of this session still serves its browser."""


class Door:
    """Judges by public keys, bans and use. The relay can check tickets, and cannot make any."""

    def __init__(
        self,
        state: State,
        *,
        issuer: str,
        keys: Callable[[], Mapping[str, Ed25519PublicKey]],
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._issuer = issuer
        self._keys = keys
        self._clock = clock

    async def by_ticket(self, room_id: str, token: str) -> Admission:
        """Judge a ticket by signature and type, expiry, room, bans, use, and by what changed about
        the person since it was made. Raises Refused."""
        now = self._clock()
        ticket = tokens.read_ticket(token, room_id, issuer=self._issuer, keys=self._keys(), now=now)
        # All at once. A banned person's ticket is used up as well, and that is fine.
        barred, first, outdated = await asyncio.gather(
            self._state.barred(room_id, ticket.user_id),
            self._state.burn(ticket.jti, tokens.TICKET_KNOWN_S),
            self._state.note(tokens.outdated_note(room_id, ticket.user_id)),
        )
        if barred is not None:
            raise Refused(barred)
        if not first:
            raise Refused(Why.TICKET_USED)
        if outdated is not None and ticket.made_at < int(outdated):
            raise Refused(Why.TICKET_EXPIRED, "It is from before a moderator's act; get a new one.")
        return Admission(
            guest=Guest(
                ticket.user_id,
                ticket.name,
                ticket.role,
                ticket.avatar,
                ticket.admitted,
                ticket.muted,
                ticket.expires_at - limits.TICKET_S,
            ),
            session=new_session_id(),
            expires_at=round((now + limits.SESSION_S) * 1000),
        )

    async def by_resume(self, room_id: str, resume: Resume) -> Admission:
        """Judge a resume token, and let it work only once more, and soon. Raises Refused."""
        token_hash = _hashed(resume.token)
        what = await self._state.find_resume(token_hash)
        if what is None:
            raise Refused(Why.SESSION_UNKNOWN)
        if what.room_id != room_id:
            raise Refused(Why.BAD_TOKEN, "The resume token is for another room.")
        if what.expires_at + what.away_s * 1000 <= self._clock() * 1000:
            raise Refused(Why.TICKET_EXPIRED, "The session was not refreshed in time.")
        await self._state.retire_resume(token_hash)
        return Admission(
            guest=what.guest,
            session=what.session,
            expires_at=what.expires_at,
            resume_from=Position(resume.epoch, resume.offset),
            moving=resume.moving,
        )

    async def give_resume(self, room_id: str, admission: Admission) -> str:
        """A new resume token for this stay."""
        token = secrets.token_urlsafe(24)
        await self._state.save_resume(
            _hashed(token),
            Resumable(room_id, admission.session, admission.guest, admission.expires_at),
        )
        return token

    async def doze(self, room_id: str, admission: Admission, token: str, away_s: int) -> None:
        """Let the token of someone who goes away for at most so long outlive that."""
        await self._state.save_resume(
            _hashed(token),
            Resumable(room_id, admission.session, admission.guest, admission.expires_at, away_s),
        )

    async def keep_resume(self, token: str) -> None:
        """Keep the token of someone who is still here, if the state can be reached: it outlasts a
        time or two when it cannot."""
        with suppress(Refused):
            await self._state.keep_resumes([_hashed(token)])


def _hashed(token: str) -> str:
    # Only the hash is stored: who reads the state cannot resume in another's place.
    return hashlib.sha256(token.encode()).hexdigest()
