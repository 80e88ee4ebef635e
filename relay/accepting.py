"""Taking new connections one by one, so that a crowd at the door does not hold up the rooms.

A server of asyncio's or uvloop's takes all that wait in one turn of its loop. Two thousand at once
are a turn of seconds, in which no tick goes out. Those who wait stay in the listener's queue.
"""

import asyncio
import logging
import socket
from collections.abc import Callable

from vchat.limits import Rate
from vchat.rates import Bucket

log = logging.getLogger("vchat.relay")

_PACE_S = 0.003
"""Between one and the next, at least; about what it takes to let somebody in."""
_RETRY_S = 0.1
_COMPLAINTS = Rate(burst=1, per_s=1 / 60)
"""A lack of descriptors lasts, and is tried ten times a second."""


async def accept_from(
    listener: socket.socket, make_protocol: Callable[[], asyncio.Protocol]
) -> None:
    """Give each new connection a protocol, until cancelled."""
    loop = asyncio.get_running_loop()
    complaints = Bucket(_COMPLAINTS, loop.time())
    listener.setblocking(False)
    while True:
        try:
            connection, _ = await loop.sock_accept(listener)
        except OSError as error:  # no descriptors left, or the peer is gone already
            if not complaints.take(loop.time()):
                log.warning("a connection could not be taken: %s", error)
            await asyncio.sleep(_RETRY_S)
            continue
        try:
            await loop.connect_accepted_socket(make_protocol, connection)
        except OSError:
            connection.close()
        except Exception:
            # Whatever it was, the next one may fare better: nobody else would take it.
            log.exception("a connection failed before it was heard")
            connection.close()
        await asyncio.sleep(_PACE_S)
