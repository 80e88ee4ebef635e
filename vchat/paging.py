"""Cursors into lists of rooms, newest first: opaque to clients, checked when they come back."""

import base64

from vchat.errors import Refused, Why
from vchat.ids import is_room_id
from vchat.model import Room
from vchat.times import parse_rfc3339


def cursor_after(room: Room) -> str:
    """Where the page that ends with `room` goes on, whatever happens to that room meanwhile."""
    place = f"{room.created_at} {room.id}"
    return base64.urlsafe_b64encode(place.encode()).rstrip(b"=").decode()


def read_cursor(cursor: str) -> tuple[str, str]:
    """(created_at, id) of the room before the page. Raises Refused(INVALID_REQUEST)."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        created_at, room_id = base64.b64decode(padded, b"-_", validate=True).decode().split(" ")
        parse_rfc3339(created_at)
        if not is_room_id(room_id):
            raise ValueError("not a room id")
    except ValueError as error:
        problem = "This cursor did not come from nextCursor"
        raise Refused(Why.INVALID_REQUEST, errors=(("/cursor", problem),)) from error
    return created_at, room_id
