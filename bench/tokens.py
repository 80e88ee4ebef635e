"""What tokens cost: microseconds of CPU to sign and to judge each kind.

    python -m bench.tokens

Each number is the median of several rounds; rounds on a busy machine differ, so the lowest and
highest are shown beside it.
"""

import statistics
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from adapters.identity_nextauth import NextAuthSessions
from adapters.voice_livekit import LiveKit
from vchat.ids import new_room_id
from vchat.keys import new_ring
from vchat.model import Avatar
from vchat.policy import Role
from vchat.tokens import ACCESS, TICKET, Kind, read_ticket, sign, ticket_claims, verify
from vchat.voice import Speaker

_ROUNDS, _TIMES = 9, 300
_ISSUER, _NOW = "https://api.example", 1_800_000_000
_RING, _ROOM = new_ring(), new_room_id()
_LOOK = Avatar(source="preset", id="fox")


def _signed(kind: Kind = TICKET) -> str:
    claims = ticket_claims(
        user_id="u1", room_id=_ROOM, role=Role.MEMBER, name="Yuki", avatar=_LOOK, admitted=False
    )
    return sign(kind, claims, issuer=_ISSUER, kid=_RING.kid, key=_RING.signing, now=_NOW)


def measured(work: Callable[[], object]) -> tuple[float, float, float]:
    """Microseconds of one call: lowest, median, highest of the rounds."""
    found = []
    for _ in range(_ROUNDS):
        begin = time.process_time()
        for _ in range(_TIMES):
            work()
        found.append((time.process_time() - begin) / _TIMES * 1e6)
    return min(found), statistics.median(found), max(found)


def main() -> None:
    public, ticket, access = _RING.public, _signed(), _signed(ACCESS)
    voice = LiveKit("wss://voice.example", "key", "x" * 40)
    speaker = Speaker(_ROOM, "u1", "Yuki", Role.MEMBER, _LOOK, False)
    site = NextAuthSessions("a secret of the bench only")
    session = _session(site)
    works: dict[str, Callable[[], object]] = {
        "sign a ticket": _signed,
        "judge a ticket (without Redis)": lambda: read_ticket(
            ticket, _ROOM, issuer=_ISSUER, keys=public, now=_NOW
        ),
        "judge an access token": lambda: verify(
            ACCESS, access, issuer=_ISSUER, keys=public, now=_NOW
        ),
        "sign a voice token": lambda: voice.token(speaker, now=_NOW),
        "judge a NextAuth session": lambda: _at_once(site.verify(session, now=_NOW)),
    }
    print(f"{'µs':<34}{'low':>8}{'median':>8}{'high':>8}")
    for what, work in works.items():
        print(f"{what:<34}" + "".join(f"{value:8.0f}" for value in measured(work)))
    print(f"\na ticket has {len(ticket)} bytes, an access token {len(access)}")


def _at_once(work: Coroutine[Any, Any, Any]) -> None:
    """Run what waits for nothing, without an event loop, which would cost more than the work."""
    with suppress(StopIteration):
        work.send(None)


def _session(site: NextAuthSessions) -> str:
    from joserfc import jwe

    claims = b'{"sub":"7","name":"Yuki","exp":%d}' % (_NOW + 60)
    key = site._key("A256GCM", "")  # noqa: SLF001
    return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, claims, key)


if __name__ == "__main__":
    main()
