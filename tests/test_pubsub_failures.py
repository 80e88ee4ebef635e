"""Pub/Sub at its worst: servers that refuse, hang or are full, played by a script."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc
import pytest
from google.pubsub_v1 import types

from adapters import bus_pubsub
from adapters.bus_pubsub import PubSubBus
from adapters.complaints import Complaints
from adapters.pubsub_outbox import BATCH_BYTES, BATCH_MESSAGES, QUEUE_MESSAGES, Outbox
from vchat.errors import Refused, Why
from vchat.ids import new_room_id

PROJECT = "my-project"


class Script(grpc.GenericRpcHandler):
    """Answers every call with one status, or with silence for None; `times` only, if given."""

    def __init__(self, code: grpc.StatusCode | None, text: str) -> None:
        self.calls: list[str] = []
        self.times: int | None = None
        self._code = code
        self._text = text

    def service(self, details):
        self.calls.append(details.method.rpartition("/")[2])
        if details.method.endswith("StreamingPull"):
            return grpc.stream_stream_rpc_method_handler(self._stream)
        return grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, _, context):
        if self._code is None:
            await asyncio.Event().wait()
        if self.times is None or len(self.calls) <= self.times:
            await context.abort(self._code, self._text)
        return b""

    async def _stream(self, requests, context):
        await self._answer(requests, context)
        yield b""


@asynccontextmanager
async def playing(script: Script) -> AsyncIterator[tuple[Script, str]]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((script,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield script, f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


class Deliverer(Script):
    """Lets everything be made, then delivers three messages and remembers what it is told."""

    def __init__(self) -> None:
        super().__init__(None, "")
        self.acknowledged: list[str] = []
        self.all_acknowledged = asyncio.Event()

    async def _answer(self, *_):
        return b""

    async def _stream(self, requests, context):
        message = {"data": b"x", "attributes": {"instance": "relay-b"}}
        some = [{"ack_id": ack, "message": message} for ack in ("one", "two", "three")]
        yield types.StreamingPullResponse.serialize(
            types.StreamingPullResponse(received_messages=some)
        )
        async for request in requests:
            said = types.StreamingPullRequest.deserialize(request)
            self.acknowledged += said.ack_ids
            if len(self.acknowledged) == len(some):
                self.all_acknowledged.set()


async def test_what_arrives_is_acknowledged_once_in_one_request():
    async with playing(Deliverer()) as (script, address):
        bus = PubSubBus(PROJECT, instance="relay-a", emulator=address)
        async with bus.listen(new_room_id()), asyncio.timeout(20):
            await script.all_acknowledged.wait()
        await bus.close()
        assert script.acknowledged == ["one", "two", "three"]


class Breaker(Deliverer):
    """Lets everything be made, and breaks every stream."""

    async def _stream(self, requests, context):
        await context.abort(grpc.StatusCode.UNAVAILABLE, "The service was unable to fulfil this.")
        yield b""


async def test_streams_that_break_leave_nothing_running():
    before = asyncio.all_tasks()
    async with playing(Breaker()) as (script, address):
        bus = PubSubBus(PROJECT, instance="relay-a", emulator=address)
        async with bus.listen(new_room_id()), asyncio.timeout(20):
            while script.calls.count("StreamingPull") < 4:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await bus.close()
        assert bus.gauges.reconnects >= 3
    leftovers = asyncio.all_tasks() - before
    if leftovers:  # cancelled ones need one more turn of the loop
        await asyncio.wait(leftovers, timeout=1)
    assert asyncio.all_tasks() <= before


TROUBLES = [
    (grpc.StatusCode.PERMISSION_DENIED, "no", ["pubsub.topics.publish", PROJECT]),
    (
        grpc.StatusCode.PERMISSION_DENIED,
        "Cloud Pub/Sub API has not been used in project 1 before or it is disabled.",
        ["pubsub.googleapis.com", PROJECT],
    ),
    (grpc.StatusCode.NOT_FOUND, "Requested project not found", ["GOOGLE_CLOUD_PROJECT", PROJECT]),
    (grpc.StatusCode.UNAUTHENTICATED, "who?", ["GOOGLE_APPLICATION_CREDENTIALS"]),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, "full", ["10,000", "janitor"]),
    (grpc.StatusCode.INVALID_ARGUMENT, "bad", [PROJECT, "bad"]),
    (grpc.StatusCode.UNAVAILABLE, "later", ["127.0.0.1", "PUBSUB_EMULATOR_HOST"]),
]


@pytest.mark.parametrize(("code", "text", "words"), TROUBLES)
async def test_each_trouble_is_one_refusal_and_one_sentence_that_names_what_to_do(
    code, text, words, caplog
):
    async with playing(Script(code, text)) as (_, address):
        bus = PubSubBus(PROJECT, instance="relay-a", emulator=address)
        sentence = await bus.check()
        assert sentence is not None
        assert all(word in sentence for word in words)
        assert "\n" not in sentence
        for _ in range(3):
            with pytest.raises(Refused) as refused:
                await bus.publish(new_room_id(), b"x")
            assert refused.value.why is Why.UNAVAILABLE
        await bus.close()
    said = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert said == [sentence]
    assert bus.gauges.refused == 3


async def test_a_connection_found_dead_is_no_refusal():
    async with playing(Script(grpc.StatusCode.UNAVAILABLE, "Socket closed")) as (script, address):
        script.times = 1
        bus = PubSubBus(PROJECT, instance="relay-a", emulator=address)
        await bus.publish(new_room_id(), b"x")
        assert script.calls == ["Publish", "Publish"]
        assert (bus.gauges.sent, bus.gauges.refused) == (1, 0)
        await bus.close()


async def test_a_server_that_never_answers_is_given_up_on(monkeypatch):
    monkeypatch.setattr(bus_pubsub, "PUBLISH_S", 0.2)
    async with playing(Script(None, "")) as (_, address):
        bus = PubSubBus(PROJECT, instance="relay-a", emulator=address)
        assert "does not answer" in (await bus.check() or "")
        with pytest.raises(Refused) as refused:
            await bus.publish(new_room_id(), b"x")
        assert refused.value.why is Why.UNAVAILABLE
        await bus.close()


async def test_a_refused_listener_tries_seldom_says_it_once_and_still_leaves(caplog):
    rooms = [new_room_id() for _ in range(5)]
    async with playing(Script(grpc.StatusCode.PERMISSION_DENIED, "no")) as (script, address):
        bus = PubSubBus(PROJECT, instance="relay-a", emulator=address)
        async with asyncio.timeout(20):
            entered = [bus.listen(room) for room in rooms]
            for one in entered:
                await one.__aenter__()
            while script.calls.count("CreateSubscription") < len(rooms):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            for one in entered:
                await one.__aexit__(None, None, None)
            await bus.close()
        assert script.calls.count("CreateSubscription") == len(rooms)
    said = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(said) == len(set(said)) == 2  # about making, and about deleting
    assert bus.gauges.orphans == len(rooms)
    assert bus.gauges.subscriptions == 0


def test_a_sentence_is_said_again_only_after_a_while(caplog):
    time = 0.0
    complaints = Complaints(lambda: time)
    for time in (0.0, 1.0, 299.0, 300.0, 301.0):  # noqa: B007 - the clock reads it
        complaints.say("It is broken.")
    assert len(caplog.records) == 2


# What leaves together


def outbox(send: Callable) -> Outbox:
    return Outbox(send, lambda: None)


async def test_messages_that_come_while_a_request_is_under_way_share_the_next():
    batches: list[list[bytes]] = []
    gate = asyncio.Event()

    async def send(messages):
        batches.append(list(messages))
        await gate.wait()

    box = outbox(send)
    first = asyncio.create_task(box.put(b"1"))
    while not batches:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    rest = [asyncio.create_task(box.put(b"%d" % n)) for n in (2, 3, 4)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(first, *rest)
    assert batches == [[b"1"], [b"2", b"3", b"4"]]


async def test_a_request_never_grows_too_large():
    batches: list[list[bytes]] = []

    async def send(messages):
        batches.append(list(messages))

    box = outbox(send)
    large = bytes(1024 * 1024)
    await asyncio.gather(*(box.put(large) for _ in range(15)))
    await asyncio.gather(*(box.put(b"x") for _ in range(BATCH_MESSAGES + 1)))
    assert all(sum(map(len, batch)) <= BATCH_BYTES for batch in batches)
    assert max(map(len, batches)) == BATCH_MESSAGES
    assert sum(map(len, batches)) == 15 + BATCH_MESSAGES + 1


async def test_a_full_queue_refuses_and_recovers():
    gate = asyncio.Event()

    async def send(messages):
        await gate.wait()

    box = outbox(send)
    waiting = [asyncio.create_task(box.put(b"x")) for _ in range(QUEUE_MESSAGES)]
    await asyncio.sleep(0)
    with pytest.raises(Refused) as refused:
        await box.put(b"one too many")
    assert refused.value.why is Why.UNAVAILABLE
    gate.set()
    await asyncio.gather(*waiting)
    await box.put(b"room again")


async def test_a_batch_that_fails_fails_each_of_its_senders_and_not_the_next():
    fail = True

    async def send(messages):
        if fail:
            raise Refused(Why.UNAVAILABLE)

    box = outbox(send)
    outcomes = await asyncio.gather(box.put(b"1"), box.put(b"2"), return_exceptions=True)
    assert all(isinstance(outcome, Refused) for outcome in outcomes)
    fail = False
    await box.put(b"3")


async def test_a_sender_that_gives_up_harms_no_other():
    gate = asyncio.Event()

    async def send(messages):
        await gate.wait()

    box = outbox(send)
    leaver, stayer = asyncio.create_task(box.put(b"1")), asyncio.create_task(box.put(b"2"))
    await asyncio.sleep(0)
    leaver.cancel()
    gate.set()
    await stayer
    assert leaver.cancelled() or await asyncio.wait({leaver})


async def test_closing_refuses_what_still_waits():
    async def send(messages):
        await asyncio.Event().wait()

    box = outbox(send)
    waiting = asyncio.create_task(box.put(b"x"))
    await asyncio.sleep(0)
    await box.close()
    with pytest.raises(Refused):
        async with asyncio.timeout(5):
            await waiting
