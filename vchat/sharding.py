"""Which relay serves a room: rendezvous hashing (Thaler & Ravishankar 1998)."""

import hashlib
from collections.abc import Sequence


def relay_for(room_id: str, relay_urls: Sequence[str]) -> str:
    """The relay with the highest hash for this room.

    Everyone who knows the same relays agrees, in whatever order they know them; adding or removing
    one of n relays moves only the n-th part of the rooms.
    """

    def weight(url: str) -> bytes:
        return hashlib.sha256(f"{url}\n{room_id}".encode()).digest()

    return max(relay_urls, key=weight)
