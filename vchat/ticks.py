"""The binary frames, little-endian: a browser's pose, and a tick with everyone who moved.

    pose  u8 kind=1, u8 flags=0, u16 seq, body (1-512 B)
    tick  u8 kind=2, u8 flags, u16 tick, u32 serverTime mod 2^32,
          then for each pose: u16 seat, u16 seq, u16 length, body

Flags bit 0 of a tick says that it is a snapshot: every pose the relay holds, not only the latest.
"""

from struct import Struct

from vchat import limits
from vchat.errors import Refused, Why

_POSE = Struct("<BBH")
_TICK = Struct("<BBHI")
ENTRY = Struct("<HHH")
"""What stands before each body of a tick: seat, seq, length."""
_POSE_KIND, _TICK_KIND = 1, 2
_LONGEST_POSE = _POSE.size + limits.POSE_BYTES
_SNAPSHOT = 1
OWN_FORMAT = 1
"""V-Chat's pose format; an application's own are 128 to 255."""


def parse_pose(frame: bytes) -> tuple[int, bytes]:
    """(seq, body) of a pose frame. Raises Refused with PROTOCOL_ERROR or TOO_LARGE."""
    # Called for every pose there is, so it takes the shortest way: the header by index.
    if len(frame) <= 4:
        raise Refused(Why.PROTOCOL_ERROR, "Expected a pose of at least 5 bytes.")
    if frame[0] != _POSE_KIND or frame[1]:
        raise Refused(Why.PROTOCOL_ERROR, "Expected kind 1 and flags 0.")
    if len(frame) > _LONGEST_POSE:
        raise Refused(Why.TOO_LARGE, f"A pose body has at most {limits.POSE_BYTES} bytes.")
    if (form := frame[4]) != OWN_FORMAT and form < 128:
        raise Refused(Why.PROTOCOL_ERROR, f"Pose format {form} is reserved.")
    return frame[2] | frame[3] << 8, frame[4:]


def pose(seq: int, body: bytes) -> bytes:
    """The frame a browser sends."""
    return _POSE.pack(_POSE_KIND, 0, seq) + body


def entry(seat: int, seq: int, body: bytes) -> bytes:
    """One pose inside a tick."""
    return ENTRY.pack(seat, seq, len(body)) + body


def tick(number: int, server_time: int, entries: bytes, *, snapshot: bool = False) -> bytes:
    """A tick from joined entries; `number` and `server_time` (ms) wrap."""
    flags = _SNAPSHOT if snapshot else 0
    return _TICK.pack(_TICK_KIND, flags, number & 0xFFFF, server_time & 0xFFFFFFFF) + entries


def parse_tick(frame: bytes) -> tuple[bool, int, int, list[tuple[int, int, bytes]]]:
    """(snapshot, tick, serverTime, [(seat, seq, body)]) of a tick. Raises ValueError."""
    if len(frame) < _TICK.size:
        raise ValueError("a tick has at least 8 bytes")
    kind, flags, number, time = _TICK.unpack_from(frame)
    if kind != _TICK_KIND:
        raise ValueError("expected kind 2")
    poses, at = [], _TICK.size
    while at < len(frame):
        if at + ENTRY.size > len(frame):
            raise ValueError("the tick ends within an entry")
        seat, seq, length = ENTRY.unpack_from(frame, at)
        at += ENTRY.size + length
        if at > len(frame):
            raise ValueError("the tick ends within a body")
        poses.append((seat, seq, frame[at - length : at]))
    return bool(flags & _SNAPSHOT), number, time, poses


def newer(seq: int, than: int) -> bool:
    """Whether `seq` comes after `than` (RFC 1982 serial numbers of 16 bits)."""
    return 0 < (seq - than) & 0xFFFF < 0x8000
