"""Who calls: the address that limits are counted by, behind however many proxies there are."""

import ipaddress
from collections.abc import Mapping
from typing import Any


def caller_address(scope: Mapping[str, Any], proxies: int) -> str:
    """The caller of an ASGI request: an IPv4 address, or the /64 network that one person has in
    IPv6, or "unknown".

    Each proxy appends the address it saw to X-Forwarded-For; what stands before the last
    `proxies` entries is the caller's own invention. With 0 the header counts for nothing.
    """
    peer = scope["client"][0] if scope.get("client") else ""
    if proxies:
        lines = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        hops = b",".join(lines).decode("latin-1").split(",") if lines else []
        peer = hops[-proxies].strip() if len(hops) >= proxies else peer
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((address, 64), strict=False))
    return str(address)
