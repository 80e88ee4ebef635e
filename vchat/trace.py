"""What joins the log lines of one request: the trace that Google's front end gives it."""

import re
from collections.abc import Mapping
from typing import Any

_TRACE = re.compile(r"([0-9a-f]{32})/")
"""X-Cloud-Trace-Context: TRACE_ID/SPAN_ID;o=OPTIONS. Strangers may send it as well."""


def trace_of(scope: Mapping[str, Any]) -> str | None:
    """The trace of an ASGI request, if it has one."""
    for name, value in scope["headers"]:
        if name == b"x-cloud-trace-context" and (found := _TRACE.match(value.decode("latin-1"))):
            return found[1]
    return None
