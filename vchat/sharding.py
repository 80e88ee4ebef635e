"""Which relay serves a room: rendezvous hashing (Thaler & Ravishankar 1998)."""

import hashlib
from collections.abc import Sequence


def relay_for(whom: str, relay_urls: Sequence[str], avoid: Sequence[str] = ()) -> str:
    """The relay with the highest hash for this room or person, of those that are not to be avoided.

    Everyone who knows the same relays agrees, in whatever order they know them; adding or removing
    one of n relays moves only the n-th part of the rooms. `avoid` has relays, or URLs at them; when
    nothing is left without them, there is nothing to avoid.
    """

    def weight(url: str) -> bytes:
        return hashlib.sha256(f"{url}\n{whom}".encode()).digest()

    def avoided(url: str) -> bool:
        return any(other == url or other.startswith(f"{url}/") for other in avoid)

    return max([url for url in relay_urls if not avoided(url)] or relay_urls, key=weight)
