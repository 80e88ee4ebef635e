"""The relay's counts for Prometheus; docs/metrics.md lists them, and a test compares the two.

Nothing here is kept up to date: values are read from what the relay counts anyway when somebody
asks. The library is imported by whoever serves the page, after the start.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from relay.hub import Hub
from relay.tally import Tally
from vchat.cost import traffic_usd
from vchat.gauges import LATENCY_S, BusGauges, StateGauges

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Sources:
    """Whose counts are shown. `usd_per_gib` is the price of traffic, None when it is not known."""

    hub: Hub
    bus: BusGauges
    state: StateGauges
    usd_per_gib: float | None


def page(sources: Sources) -> bytes:
    """All metrics, in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(_Relay(sources))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Relay(Collector):
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        hub = self._sources.hub
        tally = hub.counted()
        yield _gauge("connections", "WebSockets and streams that are open", hub.doors.open)
        yield _counter("connections_opened", "WebSockets and streams opened", hub.doors.opened)
        yield _counter("closes", "Closes by the relay", hub.doors.closes, "reason")
        yield _counter("refused", "Turned away by admission control", hub.doors.refused, "reason")
        yield _gauge("rooms", "Rooms with somebody on this relay", len(hub.rooms))
        yield _gauge("members", "People on this relay", sum(room.members for room in hub.rooms))
        yield _gauge("draining", "1 while everybody is being moved elsewhere", hub.draining)
        yield from _work(tally)
        yield from _bus(self._sources.bus, tally)
        yield from _state(self._sources.state)
        yield from self._rooms()

    def _rooms(self) -> Iterator[Metric]:
        people = GaugeMetricFamily("vchat_room_members", "People of a room here", labels=["room"])
        sent = CounterMetricFamily(
            "vchat_room_sent_bytes", "Bytes sent to a room's people", labels=["room"]
        )
        usd = CounterMetricFamily(
            "vchat_room_traffic_usd", "What sending them costs, about", labels=["room"]
        )
        for room in self._sources.hub.rooms:
            tally = room.tally
            people.add_metric([room.id], room.members)
            sent.add_metric([room.id], tally.bytes_out)
            if (price := self._sources.usd_per_gib) is not None:
                cost = traffic_usd(tally.frames_out, tally.bytes_out, price)
                usd.add_metric([room.id], cost)
        yield from (people, sent, usd)


def _work(tally: Tally) -> Iterator[Metric]:
    yield _counter("events", "Events stored for people of this relay", tally.stored)
    yield _counter("ticks", "Pose ticks of all rooms", tally.ticks)
    yield _counter("poses_skipped", "Tick frames not sent to slow readers", tally.skipped)
    taken = {"pose": tally.poses_in, "event": tally.events_in, "control": tally.controls_in}
    yield _counter("received_frames", "Frames from browsers", taken, "kind")
    taken = {
        "pose": tally.pose_bytes_in,
        "event": tally.event_bytes_in,
        "control": tally.control_bytes_in,
    }
    yield _counter("received_bytes", "Bytes from browsers", taken, "kind")
    told = {"pose": tally.poses_out, "event": tally.events_out, "control": tally.controls_out}
    yield _counter("sent_frames", "Frames to browsers", told, "kind")
    told = {
        "pose": tally.pose_bytes_out,
        "event": tally.event_bytes_out,
        "control": tally.control_bytes_out,
    }
    yield _counter("sent_bytes", "Bytes to browsers", told, "kind")


def _bus(bus: BusGauges, tally: Tally) -> Iterator[Metric]:
    yield _gauge("bus_lag_seconds", "Age of the newest message on arrival", bus.lag_ms / 1000)
    yield _gauge("bus_topics", "Topics this relay holds; a project may have 10,000", bus.topics)
    yield _gauge(
        "bus_subscriptions",
        "Subscriptions this relay holds; a project may have 10,000",
        bus.subscriptions,
    )
    yield _counter("bus_sent", "Messages to other instances", bus.sent)
    yield _counter("bus_received", "Messages from other instances", bus.received)
    lost = {
        "refused": bus.refused,
        "behind": bus.dropped,
        "malformed": bus.malformed + tally.malformed,
        "unpublished": tally.unpublished,
    }
    yield _counter("bus_lost", "Messages that did not get through", lost, "why")
    yield _counter("bus_reconnects", "Streams opened again", bus.reconnects)
    yield _counter("bus_orphans", "Subscriptions left behind for the janitor", bus.orphans)


def _state(state: StateGauges) -> Iterator[Metric]:
    ends = [*map(str, LATENCY_S), "+Inf"]
    family = HistogramMetricFamily("vchat_redis_seconds", "Calls of the shared state")
    family.add_metric(
        [], list(zip(ends, accumulate(state.steps), strict=True)), sum_value=state.seconds
    )
    yield family
    yield _counter("redis_failed", "Calls without an answer in time", state.failed)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"vchat_{name}", meaning, value=value)


def _counter(
    name: str, meaning: str, value: float | Mapping[str, float], label: str | None = None
) -> Metric:
    if not isinstance(value, Mapping):
        return CounterMetricFamily(f"vchat_{name}", meaning, value=value)
    family = CounterMetricFamily(f"vchat_{name}", meaning, labels=[label or ""])
    for of, amount in value.items():
        family.add_metric([of], amount)
    return family
