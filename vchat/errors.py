"""Every way V-Chat says no: one table, read by both edges.

A refusal is raised anywhere as `Refused(Why.…)` and translated once per edge: functions answer
problem+json with `status` and `code`; the relay sends an `error` frame with `code`, or says `bye`
and closes with `close`. Clients read codes, never the text.

The range of a close code tells a client what to do next:

    1000          done
    40xx, 10xx    come back, with backoff
    41xx          get a new ticket first
    43xx          final
    44xx          final until the person acts
"""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row: a stable code, what a person reads, the HTTP status and the close code, if any."""

    code: str
    title: str
    status: int | None = None
    close: int | None = None


class Why(Enum):
    """The table of refusals."""

    # The request itself
    INVALID_JSON = Refusal("invalid-json", "The body is not JSON", 400)
    INVALID_REQUEST = Refusal("invalid-request", "Something in the request must change", 400)
    UNAUTHENTICATED = Refusal("unauthenticated", "Sign in first", 401)
    TOKEN_EXPIRED = Refusal("token-expired", "The access token has expired", 401)
    REFRESH_REUSED = Refusal("refresh-reused", "This refresh token was used before", 401)
    FORBIDDEN = Refusal("forbidden", "You may not do this", 403)
    NOT_FOUND = Refusal("not-found", "There is nothing here", 404)
    METHOD_NOT_ALLOWED = Refusal("method-not-allowed", "This address has other methods", 405)
    CONFLICT = Refusal("conflict", "Something changed meanwhile", 409)
    PAYLOAD_TOO_LARGE = Refusal("payload-too-large", "The body is too large", 413)
    INTERNAL = Refusal("internal", "Something broke on our side", 500, 1011)
    UNAVAILABLE = Refusal("unavailable", "Not available right now; try again", 503, 1013)

    # Rooms
    ROOM_NOT_FOUND = Refusal("room-not-found", "No such room", 404, 4404)
    ROOM_ENDED = Refusal("room-ended", "The room has ended", 410, 4303)
    ROOM_FULL = Refusal("room-full", "The room is full", 409, 4400)
    ROOM_LOCKED = Refusal("room-locked", "The room is locked", 409, 4401)
    INVITE_REQUIRED = Refusal("invite-required", "This room is by invitation", 403)
    BANNED = Refusal("banned", "You are banned from this room", 403, 4302)
    KICKED = Refusal("kicked", "You were removed from this room a moment ago", 403, 4301)

    AVATAR_NOT_ALLOWED = Refusal("avatar-not-allowed", "This room does not take your avatar", 409)

    # VRoid Hub
    HUB_SIGN_IN = Refusal("hub-sign-in", "Sign in at VRoid Hub again", 409)

    # A connection's life
    MIGRATE = Refusal("migrate", "This relay is going away; come back now", None, 4001)
    ROTATE = Refusal("rotate", "This connection has lived long enough; come back", None, 4002)
    SLOW_READER = Refusal("slow-reader", "The connection reads too slowly", None, 4003)
    NO_PONG = Refusal("no-pong", "The connection went silent", None, 4004)
    TOO_FAST = Refusal("too-fast", "Too many requests; slow down", 429, 4005)
    NO_HELLO = Refusal("no-hello", "No hello came in time", None, 4006)
    DOZE = Refusal("doze", "Your seat is kept while you are away", None, 4007)
    TICKET_EXPIRED = Refusal("ticket-expired", "The ticket has expired", None, 4100)
    TICKET_USED = Refusal("ticket-used", "The ticket was used before", None, 4101)
    SESSION_UNKNOWN = Refusal("session-unknown", "The session is no longer known", None, 4102)
    BAD_TOKEN = Refusal("bad-token", "The token is not valid here", None, 4300)
    REPLACED = Refusal("replaced", "You joined this room from somewhere else", None, 4304)
    PROTOCOL_ERROR = Refusal("protocol-error", "The frame breaks the protocol", None, 4305)
    TOO_LARGE = Refusal("too-large", "The frame is too large", None, 4306)
    BAD_ORIGIN = Refusal("bad-origin", "Pages from this origin are not allowed", 403, 4307)

    # A stream's other half, the requests that carry frames
    ELSEWHERE = Refusal("elsewhere", "Another instance holds the stream; send it again", 409)
    STREAM_OVER = Refusal("stream-over", "The stream is over", 410)

    TOO_MANY = Refusal("too-many", "You are here too often at once; leave elsewhere", 429, 4403)
    IDLE = Refusal("idle", "You were away for too long; come in again", None, 4402)

    # A message on a connection that stays
    UNKNOWN_TYPE = Refusal("unknown-type", "There is no such message type")
    MUTED = Refusal("muted", "You are muted in this room")


class Refused(Exception):
    """A refusal on its way to an edge.

    `detail` says what was expected and what came, never a secret. `retry_ms` is how long to wait
    before the same request can succeed. `errors` are (JSON pointer, detail) pairs for bad fields.
    """

    def __init__(
        self,
        why: Why,
        detail: str = "",
        *,
        retry_ms: int | None = None,
        errors: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(why, detail)
        self.why = why
        self.detail = detail or why.value.title + "."
        self.retry_ms = retry_ms
        self.errors = errors

    @property
    def code(self) -> str:
        return self.why.value.code

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"
