"""What the page may load and where it may connect: its Content-Security-Policy, in one place."""

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

_IMPORT_MAP = re.compile(r'<script type="importmap"[^>]*>(.*?)</script>', re.DOTALL)
_HUB_FILES = "https://*.amazonaws.com"
"""VRoid Hub hands out presigned addresses of S3 (developer.vroid.com/en/api/); the bucket is not
documented."""
_HUB_PICTURES = "https://*.pximg.net"


@dataclass(frozen=True, slots=True)
class Beyond:
    """Where the page goes beyond its own origin: each a CSP source."""

    connect: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()


def beyond(
    urls: Iterable[str], *, voice: str | None = None, hub: bool = False, hub_url: str | None = None
) -> Beyond:
    """Origins of the API and the relays, the LiveKit server's, and where VRoid Hub keeps its files.

    Where sockets go, HTTP goes too: relays have a stream for who gets no socket, and LiveKit is
    asked why one did not open. `hub_url` is another server in the Hub's place, which keeps the
    files itself.
    """
    connect: list[str] = []
    for url in [*urls, *([] if voice is None else [voice])]:
        origin = _origin(url)
        connect += [origin, origin.replace("ws", "http", 1)]
    files = () if not hub else (_HUB_FILES,) if hub_url is None else (_origin(hub_url),)
    pictures = () if not hub else (_HUB_PICTURES,) if hub_url is None else (_origin(hub_url),)
    return Beyond(tuple(dict.fromkeys([*connect, *files])), pictures)


def page_policy(page: str, allowed: Beyond) -> str:
    """For this HTML: nothing inline but its import map, nothing from elsewhere but `allowed`."""
    found = _IMPORT_MAP.search(page)
    digest = hashlib.sha256((found[1] if found else "").encode()).digest()
    import_map = base64.b64encode(digest).decode()
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' 'sha256-{import_map}'",
            " ".join(("connect-src 'self' blob: data:", *allowed.connect)),
            " ".join(("img-src 'self' blob: data:", *allowed.pictures)),
            "style-src 'self'",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        )
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
