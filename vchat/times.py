"""RFC 3339 times in UTC with milliseconds: one width, so that their text sorts like the times."""

import re
from datetime import UTC, datetime

_SHAPE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


def rfc3339(seconds: float) -> str:
    """Seconds since the epoch as text, such as 2026-11-23T09:30:00.000Z.

    Raises ValueError outside of the years 1 to 9999.
    """
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def parse_rfc3339(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time with any offset. Raises ValueError."""
    if not _SHAPE.fullmatch(text):
        raise ValueError("expected an RFC 3339 time such as 2026-11-23T09:30:00Z")
    return datetime.fromisoformat(text).timestamp()
