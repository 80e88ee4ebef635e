"""What instances tell each other about a room, as bytes on the bus.

MessagePack arrays tagged with a kind. A kind that is unknown here comes from a newer version or a
stranger: decoding raises ValueError, and the listener counts and drops it.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from vchat import limits
from vchat.events import Event

U16 = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
Body = Annotated[bytes, msgspec.Meta(min_length=1, max_length=limits.POSE_BYTES)]


class Events(msgspec.Struct, frozen=True, array_like=True, tag="events"):
    """Events that were just stored: (offset, time in ms, JSON body) each."""

    epoch: str
    events: tuple[tuple[int, int, bytes], ...]

    def __post_init__(self) -> None:
        for _, _, body in self.events:
            if not str(body, "utf-8").startswith('{"type":"'):
                raise ValueError("An event begins with its type.")

    @classmethod
    def of(cls, epoch: str, events: Sequence[Event]) -> "Events":
        return cls(epoch, tuple((e.offset, e.time, e.body) for e in events))

    def unpacked(self) -> tuple[Event, ...]:
        return tuple(Event(*event) for event in self.events)


class Poses(msgspec.Struct, frozen=True, array_like=True, tag="poses"):
    """What changed in one tick of another instance, or is held there, as (seat, seq, body) each."""

    poses: tuple[tuple[U16, U16, Body], ...]
    held: bool = False
    """Whether it is all that the people there show, as an answer to PosesWanted is."""


class PosesWanted(msgspec.Struct, frozen=True, array_like=True, tag="poses-wanted"):
    """An instance that begins to hear the room asks everyone for all poses they hold."""


class Replaced(msgspec.Struct, frozen=True, array_like=True, tag="replaced"):
    """A newer session took this person's seat over; whoever holds an older generation lets go."""

    user_id: str
    session: str
    generation: int


class Ephemeral(msgspec.Struct, frozen=True, array_like=True, tag="ephemeral"):
    """A signal that is not stored: a JSON frame for everyone who is there now."""

    frame: Annotated[bytes, msgspec.Meta(max_length=limits.FRAME_BYTES)]

    def __post_init__(self) -> None:
        str(self.frame, "utf-8")  # over anything else browsers close the socket


BusMessage = Events | Poses | PosesWanted | Replaced | Ephemeral

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[BusMessage] = msgspec.msgpack.Decoder(BusMessage)


def encode(message: BusMessage) -> bytes:
    return _encoder.encode(message)


def decode(message: bytes) -> BusMessage:
    """Raises ValueError for anything that is not one of ours."""
    return _decoder.decode(message)
