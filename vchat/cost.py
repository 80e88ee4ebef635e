"""What traffic costs, from counted frames: the estimate for a room that is open now."""

WIRE_BYTES = 60
"""TLS, TCP and IP headers of one frame, which are paid for as well; about, since small frames may
share a packet. Prices are of the project's price list, infra/prices.json."""


def traffic_usd(frames: int, size: int, usd_per_gib: float) -> float:
    """US dollars for sending `frames` WebSocket frames of `size` bytes in all, headers included."""
    return (size + frames * WIRE_BYTES) / 2**30 * usd_per_gib
