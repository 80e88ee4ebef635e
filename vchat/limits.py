"""Every number a client can run into, in one table.

Lengths of text count Unicode code points; sizes are bytes.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket: `burst` at once, then `per_s` each second."""

    burst: int
    per_s: float


# HTTP
BODY_BYTES = 64 * 1024
NAME_LENGTH = 40
ROOM_NAME_LENGTH = 80
DESCRIPTION_LENGTH = 500
ROOM_CAPACITY = 500
ROOM_CAPACITY_DEFAULT = 20
PAGE_DEFAULT = 20
PAGE_MAX = 100
TOKEN_BYTES = 8192
ROOM_LIFE_S = 30 * 24 * 3600
"""A room nobody ended expires this long after it was made."""

BODY_S = 10.0
"""A body that takes longer to arrive is given up."""
AVATAR_ID_LENGTH = 2048
REASON_LENGTH = 200
INVITES = 100
"""Invites to one room that are good at the same time."""
GUESTS = Rate(burst=60, per_s=0.5)
"""New guests from one address; a classroom behind one address comes at once."""
REFRESHES = Rate(burst=120, per_s=2)
"""Refresh tokens that are shown from one address, to go on or to sign out."""
ROOMS = Rate(burst=10, per_s=1 / 60)
"""New rooms of one account."""
TICKETS = Rate(burst=30, per_s=0.5)
"""Tickets for one account."""
RELAYS_AVOIDED = 8
RELAY_URL_LENGTH = 2048
INVITE_TRIES = Rate(burst=20, per_s=0.2)
"""Invites that one account presents, right or wrong."""
ROOM_MISSES = Rate(burst=60, per_s=0.5)
"""Rooms that one account asks for and that are not there, or one address without a sign-in; then it
is answered nothing about rooms for GUESSING_PAUSE_S."""
GUESSING_PAUSE_S = 60

HEAD_S = 10.0
"""A request whose head takes longer, counted from the connection or the answer before, is cut."""
HEAD_BYTES = 32 * 1024
STALL_S = 30.0
"""An answer of which nothing could be written for this long is cut."""

# Tokens
ACCESS_TOKEN_S = 15 * 60
REFRESH_TOKEN_S = 30 * 24 * 3600
TICKET_S = 60
JWKS_S = 300
"""How long verifiers may keep the public keys before they ask again."""
CLOCK_LEEWAY_S = 5
INVITE_S = 7 * 24 * 3600
SIGN_IN_TOKEN_BYTES = 32 * 1024
"""What a provider issued; a NextAuth session with a profile in it is large."""
SIGN_INS = Rate(burst=30, per_s=0.5)
"""Exchanges of a provider's token from one address."""
OAUTH_S = 10 * 60
"""How long a person may take at VRoid Hub to agree."""
CODE_S = 60
"""How long the code that ends a sign-in at VRoid Hub is good."""
HUB_CALLS = Rate(burst=30, per_s=1)
"""What one account may have us ask of VRoid Hub."""
VOICE_TOKEN_S = 5 * 60
VOICE_TOKENS = Rate(burst=10, per_s=0.2)
SLOW_MODE_S = 600
MATCH_LEASE_S = 15
"""Who waits for a match and is not heard of for this long is gone."""
MATCH_WAIT_S = 600
MATCH_KEPT_S = 120
"""How long a match waits to be asked for; after that MATCH_LEASE_S, should the answer be lost."""
MATCH_ROOM_S = 24 * 3600
MATCH_AVOID = 100
MATCH_INTERESTS = 10
MATCH_TRIES = Rate(burst=20, per_s=1)

# The relay's door
KNOCKING = 500
"""Connections to a relay that are not welcomed yet."""
KNOCKING_ADDRESS = 100
"""Of one address among them."""
ADDRESS_CONNECTIONS = 1000
"""All connections of one address to one relay; a school may share one."""
ACCOUNT_CONNECTIONS = 20
"""All connections of one account to one relay."""
ENTERING = 8
"""Hellos that are worked on at the same time; the others wait in turn, and ticks go on between."""
TURN_S = 5.0
"""The longest wait for that."""
CONNECTS = Rate(burst=400, per_s=200)
"""New connections to a relay; the others are told when it is their turn."""
SLOT_S = 30
"""The latest turn that is given."""

# A connection
HELLO_S = 5.0
PING_MS = 22_000
PONG_S = 10.0
FRAME_BYTES = 16 * 1024
POSE_BYTES = 512
TEXT_LENGTH = 2000
MESSAGE_ID_LENGTH = 64
SIGNAL_NAME_LENGTH = 64
SIGNAL_BYTES = 4 * 1024
NESTING = 64
"""Objects and lists within each other in a text frame, itself included."""
CHAT = Rate(burst=40, per_s=5)
SIGNAL = Rate(burst=40, per_s=20)
CONTROL = Rate(burst=20, per_s=2)
"""Everything else a client may send as text: refresh, pong, what it makes up."""
POSE_HZ = 30
POSE = Rate(burst=60, per_s=POSE_HZ * 1.5)
TICK_HZ = 20
STRIKES = 100
"""Refused for speed this often within a minute, a client is closed with too-fast."""
INBOX = 256
INBOX_BYTES = 128 * 1024
"""Text frames of one client waiting for the relay, and their size; the next one means too-fast."""
WELCOME_BYTES = 64 * 1024
"""Members and last chats in one frame of a welcome; where there are more, parts come before it."""
WRITE_BUFFER_BYTES = 256 * 1024
"""Bytes one client may leave unread before events stop queueing and it is closed as slow."""
FRAGMENTS = 64
"""Pieces one message may come in."""
PINGS = Rate(burst=30, per_s=1)
"""WebSocket's own pings and pongs; pages send none, and libraries one in 20 s."""
FALLBACK_TICK_HZ = 5
"""Ticks a second over a stream, at most, and poses a second that its client should send."""
FALLBACK_POSE_BYTES_S = 64 * 1024
"""Bytes of poses a second over a stream: in a full room its ticks are fewer."""
POSTS = Rate(burst=60, per_s=20)
"""Requests with which a stream's client sends frames."""
AGE_S = (50 * 60.0, 58 * 60.0)
"""A connection is replaced at an age between these; Cloud Run ends every request at an hour."""
SESSION_S = 60 * 60
"""How long a session may go on without a refresh."""
VISIT_S = 24 * 3600
"""How long we remember that someone was given a ticket to a room, or a token for its call alone."""

# A room
HISTORY = 50
LOG_EVENTS = 2000
LOG_S = 24 * 3600
DEDUPE_S = 15 * 60
SEAT_HOLD_S = 15.0
"""A lost socket's seat is kept this long."""
DOZE_HIDDEN_S = 60
"""A page that nobody has looked at for this long should give up its socket."""
DOZE_IDLE_S = 15 * 60
"""The same for a page in sight that nobody has touched."""
AWAY_S = 30 * 60
"""Who gave up the socket keeps the seat for this long, and is away."""
WAKE_S = 60
"""Who wakes to a session that ran out meanwhile has this long to refresh it."""
LEASE_S = 11.0
RENEW_S = 3.0
"""A relay renews its seats this often, and looks once more when the next seat of the room runs out:
a dead relay's people are gone after LEASE_S, and after LEASE_S + RENEW_S if that look fails."""
RESUME_S = 10 * 60
RESUME_GRACE_S = 30
"""A used resume token works once more for this long, in case its welcome was lost."""
