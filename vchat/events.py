"""Events: what happened in a room, numbered; serialized once for log, bus and every browser."""

from dataclasses import dataclass
from typing import Any

import msgspec

from vchat.model import Member, Room

_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Event:
    """One numbered event. `time` is milliseconds since the epoch; `body` a JSON object as bytes."""

    offset: int
    time: int
    body: bytes

    def frame(self) -> bytes:
        """The event as browsers get it: the body with its number and time in front."""
        return b'{"offset":%d,"time":%d,%b' % (self.offset, self.time, self.body[1:])


def member_card(member: Member) -> bytes:
    """A member without the seat: what the room keeps of a person, and prefixes with the seat."""
    fields = msgspec.to_builtins(member)
    del fields["seat"]
    return _encode(fields)


def chat(*, message_id: str, seat: int, user_id: str, name: str, text: str) -> bytes:
    return _encode(
        {
            "type": "chat",
            "id": message_id,
            "seat": seat,
            "userId": user_id,
            "name": name,
            "text": text,
        }
    )


def signal(
    *, message_id: str, seat: int, user_id: str, name: str, signal: str, data: msgspec.Raw
) -> bytes:
    """An application's own event; `data` is its JSON, not decoded here."""
    return _encode(
        {
            "type": "signal",
            "id": message_id,
            "seat": seat,
            "userId": user_id,
            "name": name,
            "signal": signal,
            "data": data,
        }
    )


def room_changed(room: Room, occupancy: int) -> bytes:
    return _encode({"type": "room", **room_view(room, occupancy)})


def ended(reason: str) -> bytes:
    return _encode({"type": "ended", "reason": reason})


def room_view(room: Room, occupancy: int) -> dict[str, Any]:
    """A room as browsers see it, with how many are inside right now."""
    view: dict[str, Any] = msgspec.to_builtins(room)
    del view["revision"]
    view["occupancy"] = occupancy
    return view
