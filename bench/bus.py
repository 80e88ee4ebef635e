"""What the Pub/Sub bus costs: CPU and latency per message beside a bare grpc.aio client, threads.

`PYTHONPATH=. python bench/bus.py` prints JSON. Publisher and listener share the process; the
emulator beside it delivers every 50 ms, so that latencies mean something only as differences.
"""

import argparse
import asyncio
import json
import random
import statistics
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
from google.pubsub_v1 import types

from adapters.bus_pubsub import PubSubBus
from adapters.pubsub_names import subscription_path, topic_path
from adapters.pubsub_wire import Wire
from local.servers import pubsub_emulator
from vchat.bus import Bus
from vchat.ids import new_id, new_room_id

PROJECT = "bench"
BODY = 600
"""Bytes: a tick of about ten people."""

Request = type(types.PublishRequest.pb(types.PublishRequest()))
Response = type(types.PublishResponse.pb(types.PublishResponse()))
Message = type(types.PubsubMessage.pb(types.PubsubMessage()))
Pull = type(types.StreamingPullRequest.pb(types.StreamingPullRequest()))
Pulled = type(types.StreamingPullResponse.pb(types.StreamingPullResponse()))


class Bare:
    """The least a client can do: one request a message, one acknowledgement a response."""

    def __init__(self, address: str, instance: str) -> None:
        self._wire = Wire(PROJECT, emulator=address)
        self._channel = grpc.aio.insecure_channel(address)
        self._instance = instance
        self._publish = self._channel.unary_unary(
            "/google.pubsub.v1.Publisher/Publish",
            request_serializer=Request.SerializeToString,
            response_deserializer=Response.FromString,
        )
        self._pull = self._channel.stream_stream(
            "/google.pubsub.v1.Subscriber/StreamingPull",
            request_serializer=Pull.SerializeToString,
            response_deserializer=Pulled.FromString,
        )

    async def publish(self, room_id: str, message: bytes) -> None:
        one = Message(data=message, attributes={"instance": self._instance})
        await self._publish(Request(topic=topic_path(PROJECT, room_id), messages=[one]), timeout=2)

    @asynccontextmanager
    async def listen(self, room_id: str) -> AsyncIterator[AsyncIterator[bytes]]:
        await self._wire.create_topic(room_id)
        await self._wire.create_subscription(room_id, self._instance)
        call = self._pull()
        path = subscription_path(PROJECT, room_id, self._instance)
        await call.write(Pull(subscription=path, stream_ack_deadline_seconds=10))
        yield self._messages(call)
        call.cancel()

    async def _messages(self, call) -> AsyncIterator[bytes]:
        while (response := await call.read()) is not grpc.aio.EOF:
            await call.write(Pull(ack_ids=[one.ack_id for one in response.received_messages]))
            for one in response.received_messages:
                yield one.message.data

    async def close(self) -> None:
        await self._wire.close()
        await self._channel.close()


Make = Callable[[], Bus]


async def load(make: Make, *, rooms: int, burst: int, hz: float, seconds: float) -> dict:
    """`burst` messages at once into each room, `hz` times a second."""
    sender, listener, names = make(), make(), [new_room_id() for _ in range(rooms)]
    delays: list[float] = []
    measuring = False

    async def receive(messages: AsyncIterator[bytes]) -> None:
        async for message in messages:
            delay = time.perf_counter_ns() - int.from_bytes(message[:8])
            if measuring:
                delays.append(delay / 1e6)

    async def talk(room_id: str, rounds: int) -> int:
        await asyncio.sleep(random.random() / hz)
        start, sent = time.perf_counter(), 0
        for n in range(rounds):
            # Off the beat of the emulator, which would otherwise favour one phase or another.
            await asyncio.sleep(start + (n + random.random()) / hz - time.perf_counter())
            stamp = time.perf_counter_ns().to_bytes(8)
            await asyncio.gather(
                *(sender.publish(room_id, stamp + bytes(BODY - 8)) for _ in range(burst))
            )
            sent += burst
        return sent

    async with AsyncExitStack() as stack:
        tasks = []
        for room_id in names:
            messages = await stack.enter_async_context(listener.listen(room_id))
            tasks.append(asyncio.create_task(receive(messages)))
        await asyncio.sleep(2)
        await asyncio.gather(*(talk(room_id, int(hz)) for room_id in names))  # warm up
        await asyncio.sleep(0.5)
        measuring, cpu = True, time.process_time()
        sent = sum(await asyncio.gather(*(talk(r, int(hz * seconds)) for r in names)))
        await asyncio.sleep(0.5)
        cpu = time.process_time() - cpu
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    await listener.close()
    await sender.close()
    delays.sort()
    return {
        "sent": sent,
        "received": len(delays),
        "cpu_us": round(cpu / sent * 1e6, 1),
        "p50_ms": round(statistics.median(delays), 2),
        "p99_ms": round(delays[int(len(delays) * 0.99)], 2),
    }


async def many_rooms(address: str, rooms: int) -> dict:
    bus = PubSubBus(PROJECT, instance=new_id(), emulator=address)
    async with AsyncExitStack() as stack:
        for _ in range(rooms):
            await stack.enter_async_context(bus.listen(new_room_id()))
        started = time.perf_counter()
        while bus.gauges.subscriptions < rooms:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        ready = time.perf_counter() - started
        cpu = time.process_time()
        await asyncio.sleep(5)
        cpu = (time.process_time() - cpu) / 5
        threads = {
            "python": threading.active_count(),
            "native": len(list(Path("/proc/self/task").iterdir())),  # noqa: ASYNC240
        }
        started = time.perf_counter()
        await bus.close()
    return {
        "rooms": rooms,
        "threads": threads,
        "idle_cpu_percent": round(cpu * 100, 2),
        "made_s": round(ready, 2),
        "closed_s": round(time.perf_counter() - started, 2),
    }


async def measure(address: str, seconds: float) -> dict:
    makers: dict[str, Make] = {
        "bare": lambda: Bare(address, new_id()),
        "ours": lambda: PubSubBus(PROJECT, instance=new_id(), emulator=address),
    }
    loads = {
        "20 rooms, 1 message at 20 Hz": {"rooms": 20, "burst": 1, "hz": 20.0},
        "20 rooms, 5 messages at 10 Hz": {"rooms": 20, "burst": 5, "hz": 10.0},
        "1 room, 1 message at 20 Hz": {"rooms": 1, "burst": 1, "hz": 20.0},
    }
    report: dict = {}
    for name, settings in loads.items():
        rounds: dict[str, list[dict]] = {kind: [] for kind in makers}
        for _ in range(3):  # in turns, so that a busy neighbour hits both
            for kind, make in makers.items():
                rounds[kind].append(await load(make, seconds=seconds, **settings))
        median = {
            kind: {key: statistics.median(one[key] for one in runs) for key in runs[0]}
            for kind, runs in rounds.items()
        }
        median["cpu_ratio"] = round(median["ours"]["cpu_us"] / median["bare"]["cpu_us"], 2)
        for part in ("p50_ms", "p99_ms"):
            median[f"added_{part}"] = round(median["ours"][part] - median["bare"][part], 2)
        report[name] = median
    report["many rooms"] = [await many_rooms(address, rooms) for rooms in (1, 150)]
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="of each of the 18 runs")
    seconds = parser.parse_args().seconds
    emulator = pubsub_emulator()
    emulator.start()
    try:
        print(json.dumps(asyncio.run(measure(emulator.address, seconds)), indent=2))
    finally:
        emulator.stop()


if __name__ == "__main__":
    main()
