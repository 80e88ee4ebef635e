"""Whom this machine believes over HTTPS, read once: that takes 25 ms, for every client anew."""

import ssl
from functools import cache

import httpx


@cache
def trusted() -> ssl.SSLContext:
    """For all clients of this process."""
    return httpx.create_ssl_context()
