"""The minutes of a relay: one line in the log for every minute with somebody there, and one for
each room that closes.

An instance that scales to zero is scraped by nobody; Cloud Logging makes its metrics of these lines
(infra/terraform/monitoring.tf, docs/metrics.md).
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from relay.hub import Hub
from relay.room import Room
from relay.tally import Tally
from vchat.cost import traffic_usd
from vchat.gauges import BusGauges, StateGauges

log = logging.getLogger("vchat.relay")

EVERY_S = 60.0


class Minutes:
    """Writes what changed since the line before. Nothing is written while nothing happens."""

    def __init__(
        self,
        hub: Hub,
        bus: Callable[[], BusGauges],
        state: StateGauges,
        *,
        relay: str,
        usd_per_gib: float | None,
    ) -> None:
        self._hub = hub
        self._bus = bus
        self._state = state
        self._relay = relay
        self._usd_per_gib = usd_per_gib
        self._before = self._now()

    async def keep(self) -> None:
        """Write for ever."""
        while True:
            await asyncio.sleep(EVERY_S)
            self.write()

    def write(self) -> None:
        """Write the line of the time since the last one, if anything happened in it."""
        before, now = self._before, self._now()
        if not self._hub.doors.open and now["opened"] == before["opened"]:
            return
        self._before = now
        since = {name: value - before[name] for name, value in now.items()}
        calls = since.pop("redisCalls")
        bus = self._bus()
        line: dict[str, Any] = {
            "relay": self._relay,
            "connections": self._hub.doors.open,
            "rooms": len(self._hub.rooms),
            "members": sum(room.members for room in self._hub.rooms),
            "topics": bus.topics,
            "subscriptions": bus.subscriptions,
            "busLagMs": round(bus.lag_ms, 1),
            "redisMs": round(since.pop("redisS") * 1000 / calls, 2) if calls else 0,
            **since,
        }
        line["trafficUsd"] = self._usd(line["sentFrames"], line["sentBytes"])
        log.info("minute", extra=line)

    def room_closed(self, room: Room, seconds: float) -> None:
        """Write what a room came to, on this instance."""
        tally = room.tally
        log.info(
            "room closed",
            extra={
                "relay": self._relay,
                "room": room.id,
                "seconds": round(seconds),
                **_traffic(tally),
                "trafficUsd": self._usd(tally.frames_out, tally.bytes_out),
            },
        )

    def _usd(self, frames: int, size: int) -> float | None:
        price = self._usd_per_gib
        return None if price is None else round(traffic_usd(frames, size, price), 6)

    def _now(self) -> dict[str, Any]:
        doors, bus = self._hub.doors, self._bus()
        tally = self._hub.counted()
        lost = bus.refused + bus.dropped + bus.malformed
        return {
            "opened": doors.opened,
            "refused": doors.refused.total(),
            "slowReaders": doors.closes["slow-reader"],
            **_traffic(tally),
            "busLost": lost + tally.malformed + tally.unpublished,
            "redisCalls": self._state.calls,
            "redisS": self._state.seconds,
            "redisFailed": self._state.failed,
        }


def _traffic(tally: Tally) -> dict[str, int]:
    return {
        "events": tally.stored,
        "ticks": tally.ticks,
        "posesSkipped": tally.skipped,
        "receivedBytes": tally.pose_bytes_in + tally.event_bytes_in + tally.control_bytes_in,
        "sentFrames": tally.frames_out,
        "sentBytes": tally.bytes_out,
        "sentPoseBytes": tally.pose_bytes_out,
        "sentEventBytes": tally.event_bytes_out,
        "sentControlBytes": tally.control_bytes_out,
    }
