"""What the shared state promises, over fakeredis and a real server."""

import asyncio
import json

import msgspec
import pytest
from redis.asyncio import Redis

from adapters.state_redis import _CONNECTIONS, RedisState, connect
from tests.components import free_port
from tests.relays import new_room as room
from vchat import limits
from vchat.errors import Refused, Why
from vchat.limits import Rate
from vchat.model import Avatar, Room, RoomStatus
from vchat.policy import Role
from vchat.state import Guest, Position, Reason, Resumable, Seated


def guest(user: str, **changes) -> Guest:
    fields = {"name": user.title(), "role": Role.MEMBER, "avatar": None, "admitted": False}
    return Guest(user_id=user, **{**fields, **changes})


async def sit(
    state: RedisState,
    where: Room,
    user: str,
    session: str | None = None,
    *,
    resume: bool = False,
    instance: str = "relay-a",
    relay: str = "north",
    **changes,
) -> Seated:
    return await state.sit(
        where.id,
        guest(user, **changes),
        session=session or f"session-of-{user}",
        instance=instance,
        relay=relay,
        resume=resume,
    )


def bodies(events) -> list[dict]:
    return [json.loads(event.body) for event in events]


@pytest.fixture(name="shown")
async def _shown(state: RedisState) -> Room:
    where = room()
    await state.show_room(where)
    return where


async def test_the_first_to_sit_sees_the_room_and_themselves(state, shown):
    seated = await sit(state, shown, "aya", avatar=Avatar(source="preset", id="mint"))

    assert seated.room == shown
    assert [json.loads(member) for member in seated.members] == [
        {
            "seat": seated.me.seat,
            "userId": "aya",
            "name": "Aya",
            "role": "member",
            "avatar": {"source": "preset", "id": "mint"},
            "muted": False,
            "away": False,
            "voice": False,
            "relay": "north",
        }
    ]
    assert [event["type"] for event in bodies(seated.events)] == ["joined"]
    assert seated.head.offset == seated.events[0].offset == 1
    assert seated.history == ()


async def test_a_room_that_was_not_shown_sends_for_a_new_ticket(state):
    with pytest.raises(Refused) as refusal:
        await sit(state, room(), "aya")
    assert refusal.value.why is Why.SESSION_UNKNOWN


async def test_members_and_occupancy_agree_with_who_sits(state, shown):
    await sit(state, shown, "aya")
    await sit(state, shown, "ben")
    other = room()

    assert {member.user_id for member in await state.members(shown.id)} == {"aya", "ben"}
    assert await state.occupancy([shown.id, other.id]) == {shown.id: 2, other.id: 0}


async def test_a_newer_session_takes_the_seat_and_nobody_hears_of_it(state, shown):
    old = await sit(state, shown, "aya", "first")
    new = await sit(state, shown, "aya", "second")

    assert new.me.seat == old.me.seat
    assert new.replaced == "first"
    assert new.events == ()
    assert new.generation > old.generation


async def test_an_older_ticket_that_comes_late_does_not_put_out_a_later_one(state, shown):
    new = await sit(state, shown, "aya", "second", ticket_s=1_800_000_001)
    with pytest.raises(Refused) as refusal:
        await sit(state, shown, "aya", "first", ticket_s=1_800_000_000)
    assert refusal.value.why is Why.REPLACED
    assert (await sit(state, shown, "aya", "second", resume=True)).me == new.me

    await sit(state, shown, "aya", "third", ticket_s=1_800_000_002)
    gone = await sit(state, shown, "aya", "fourth", ticket_s=1_800_000_002)
    await state.leave(shown.id, "aya", gone.generation, Reason.LEFT)
    await sit(state, shown, "aya", "first", ticket_s=1_800_000_000)


async def test_a_takeover_with_another_look_tells_what_changed(state, shown):
    await sit(state, shown, "aya", "first")
    new = await sit(state, shown, "aya", "second", name="Ayame")

    assert bodies(new.events) == [
        {"type": "member", "seat": new.me.seat, "userId": "aya", "name": "Ayame"}
    ]
    assert new.me.name == "Ayame"


async def test_the_clean_up_of_an_old_connection_never_removes_the_newer_one(state, shown):
    old = await sit(state, shown, "aya", "first")
    await sit(state, shown, "aya", "second")

    assert await state.leave(shown.id, "aya", old.generation, Reason.LEFT) is None
    await state.lose(shown.id, "aya", old.generation)
    assert (await state.renew(shown.id, "relay-a", {"aya": old.generation}, hosting=True)).gone == (
        "aya",
    )
    assert await state.occupancy([shown.id]) == {shown.id: 1}


async def test_a_full_room_takes_nobody_but_those_who_sit_there(state):
    where = room(capacity=2)
    await state.show_room(where)
    await sit(state, where, "aya")
    await sit(state, where, "ben")

    with pytest.raises(Refused) as refusal:
        await sit(state, where, "cho")
    assert refusal.value.why is Why.ROOM_FULL
    await sit(state, where, "aya", "again")


async def test_a_hundred_who_come_at_once_never_exceed_the_capacity(state):
    where = room(capacity=7)
    await state.show_room(where)
    results = await asyncio.gather(
        *(sit(state, where, f"user{n}") for n in range(100)), return_exceptions=True
    )

    seated = [result for result in results if isinstance(result, Seated)]
    assert len(seated) == 7
    assert len({one.me.seat for one in seated}) == 7
    assert await state.occupancy([where.id]) == {where.id: 7}


async def test_a_lost_socket_keeps_its_seat_for_the_hold_and_no_longer(state, shown, clock):
    aya = await sit(state, shown, "aya")
    ben = await sit(state, shown, "ben")
    await state.lose(shown.id, "aya", aya.generation)

    clock.pass_s(limits.SEAT_HOLD_S / 2)
    await state.renew(shown.id, "relay-a", {"ben": ben.generation}, hosting=True)
    clock.pass_s(limits.SEAT_HOLD_S / 2 - 0.1)
    assert await state.occupancy([shown.id]) == {shown.id: 2}

    clock.pass_s(0.2)
    assert await state.occupancy([shown.id]) == {shown.id: 1}
    swept = await state.renew(shown.id, "relay-a", {"ben": ben.generation}, hosting=True)
    assert bodies(swept.events) == [
        {"type": "left", "seat": aya.me.seat, "userId": "aya", "reason": "lost"}
    ]


async def test_the_people_of_a_dead_instance_vanish_while_others_stay(state, shown, clock):
    await sit(state, shown, "aya", instance="relay-dead")
    ben = await sit(state, shown, "ben", instance="relay-live")
    for _ in range(5):
        clock.pass_s(limits.RENEW_S)
        renewal = await state.renew(shown.id, "relay-live", {"ben": ben.generation}, hosting=True)

    assert {member.user_id for member in await state.members(shown.id)} == {"ben"}
    assert renewal.others is False


async def test_an_instance_knows_whether_it_hosts_alone(state, shown):
    aya = await sit(state, shown, "aya", instance="relay-a")
    assert not (
        await state.renew(shown.id, "relay-a", {"aya": aya.generation}, hosting=True)
    ).others

    await sit(state, shown, "ben", instance="relay-b")
    assert (await state.renew(shown.id, "relay-a", {"aya": aya.generation}, hosting=True)).others

    await state.renew(shown.id, "relay-b", {}, hosting=False)
    assert not (
        await state.renew(shown.id, "relay-a", {"aya": aya.generation}, hosting=True)
    ).others


async def test_the_hosts_of_a_room_are_its_live_instances(state, shown, clock):
    await sit(state, shown, "aya", instance="relay-a")
    await sit(state, shown, "ben", instance="relay-b")
    assert await state.hosts(shown.id) == {"relay-a", "relay-b"}

    clock.pass_s(limits.RENEW_S)
    await state.renew(shown.id, "relay-b", {}, hosting=False)
    assert await state.hosts(shown.id) == {"relay-a"}
    clock.pass_s(limits.LEASE_S)
    assert await state.hosts(shown.id) == frozenset()


async def test_a_session_resumes_its_seat_without_a_word(state, shown):
    was = await sit(state, shown, "aya", "s")
    now = await sit(state, shown, "aya", "s", resume=True, instance="relay-b")

    assert now.me == was.me
    assert now.events == ()
    assert now.replaced is None


async def test_coming_back_on_another_relay_tells_only_that(state, shown):
    await sit(state, shown, "aya", "s", role=Role.OWNER)
    moved = await sit(state, shown, "aya", "s", resume=True, relay="south")

    assert bodies(moved.events) == [
        {"type": "member", "seat": moved.me.seat, "userId": "aya", "relay": "south"}
    ]
    assert moved.me.role is Role.OWNER


async def test_a_session_that_was_replaced_cannot_resume(state, shown):
    await sit(state, shown, "aya", "first")
    await sit(state, shown, "aya", "second")

    with pytest.raises(Refused) as refusal:
        await sit(state, shown, "aya", "first", resume=True)
    assert refusal.value.why is Why.REPLACED


async def test_the_lost_come_back_as_they_were(state, shown, clock):
    await sit(state, shown, "aya", "s")
    await state.amend(shown.id, "aya", {"muted": True})
    clock.pass_s(limits.SEAT_HOLD_S + 1)

    back = await sit(state, shown, "aya", "s", resume=True)
    assert [event["type"] for event in bodies(back.events)] == ["left", "joined"]
    assert back.me.muted


async def test_who_dozes_keeps_the_seat_for_the_time_away_and_is_swept_out_as_idle(
    state, shown, clock
):
    aya, ben = await sit(state, shown, "aya"), await sit(state, shown, "ben")
    _, event = await state.doze(shown.id, "aya", aya.generation, 600)
    assert bodies([event]) == [
        {"type": "member", "seat": aya.me.seat, "userId": "aya", "away": True}
    ]
    for _ in range(59):
        clock.pass_s(10)
        await state.renew(shown.id, "relay-a", {"ben": ben.generation}, hosting=True)
    assert await state.occupancy([shown.id]) == {shown.id: 2}

    clock.pass_s(10)
    swept = await state.renew(shown.id, "relay-a", {"ben": ben.generation}, hosting=True)
    assert bodies(swept.events) == [
        {"type": "left", "seat": aya.me.seat, "userId": "aya", "reason": "idle"}
    ]
    with pytest.raises(Refused) as refusal:
        await sit(state, shown, "aya", resume=True)
    assert refusal.value.why is Why.IDLE
    assert not (await sit(state, shown, "aya", "fresh")).me.away


async def test_nothing_that_the_old_connection_does_shortens_the_time_away(state, shown, clock):
    aya = await sit(state, shown, "aya")
    await state.doze(shown.id, "aya", aya.generation, 600)
    late = await state.renew(shown.id, "relay-a", {"aya": aya.generation}, hosting=True)
    await state.lose(shown.id, "aya", aya.generation)
    assert late.gone == ("aya",)
    assert await state.leave(shown.id, "aya", aya.generation, Reason.LEFT) is None

    clock.pass_s(599)
    woken = await sit(state, shown, "aya", resume=True)
    assert (woken.me.seat, woken.me.away) == (aya.me.seat, False)
    assert bodies(woken.events) == [
        {"type": "member", "seat": aya.me.seat, "userId": "aya", "away": False}
    ]


async def test_only_the_connection_that_holds_the_seat_can_doze(state, shown):
    old = await sit(state, shown, "aya", "first")
    await sit(state, shown, "aya", "second")
    with pytest.raises(Refused) as refusal:
        await state.doze(shown.id, "aya", old.generation, 600)
    assert refusal.value.why is Why.SESSION_UNKNOWN


async def test_who_was_kicked_while_away_hears_of_it_however_late(state, shown, clock):
    aya = await sit(state, shown, "aya")
    await sit(state, shown, "ben")
    await state.doze(shown.id, "aya", aya.generation, 600)
    await state.leave(shown.id, "aya", None, Reason.KICKED)
    clock.pass_s(599)
    with pytest.raises(Refused) as refusal:
        await sit(state, shown, "aya", resume=True)
    assert refusal.value.why is Why.KICKED
    await sit(state, shown, "aya", "fresh")


async def test_a_resume_token_of_someone_away_lives_so_much_longer(state, redis):
    what = Resumable("room", "s", guest("aya"), 0, 600)
    await state.save_resume("hash", what)
    assert await state.find_resume("hash") == what
    assert await redis.ttl("vchat:resume:hash") > limits.RESUME_S + 590


async def test_what_changes_about_the_lost_holds_when_they_come_back(state, shown, clock):
    await sit(state, shown, "aya", "s")
    ben = await sit(state, shown, "ben")
    clock.pass_s(limits.LEASE_S - 1)
    await state.renew(shown.id, "relay-a", {"ben": ben.generation}, hosting=True)
    clock.pass_s(2)
    await state.renew(shown.id, "relay-a", {"ben": ben.generation}, hosting=True)
    assert await state.amend(shown.id, "aya", {"muted": True, "role": "spectator"}) is None

    back = await sit(state, shown, "aya", "s", resume=True)
    assert (back.me.muted, back.me.role) == (True, Role.SPECTATOR)


@pytest.mark.parametrize("reason", [Reason.LEFT, Reason.KICKED, Reason.BANNED])
async def test_who_left_or_was_removed_cannot_resume(state, shown, reason):
    was = await sit(state, shown, "aya", "s")
    await state.leave(shown.id, "aya", was.generation, reason)

    with pytest.raises(Refused) as refusal:
        await sit(state, shown, "aya", "s", resume=True)
    assert refusal.value.why in {Why.SESSION_UNKNOWN, Why.KICKED}


async def test_a_kick_outlives_every_ticket_given_out_before(state, shown, clock):
    await sit(state, shown, "aya")
    await state.leave(shown.id, "aya", None, Reason.KICKED)

    clock.pass_s(limits.TICKET_S)
    with pytest.raises(Refused) as refusal:
        await sit(state, shown, "aya", "fresh")
    assert refusal.value.why is Why.KICKED
    clock.pass_s(limits.CLOCK_LEEWAY_S + 1)
    await sit(state, shown, "aya", "fresh")


async def test_a_ban_holds_until_its_end_or_until_it_is_lifted(state, shown, clock):
    await state.ban(shown.id, "aya", clock() + 60_000)
    await state.ban(shown.id, "ben", None)
    for user in ("aya", "ben"):
        assert await state.barred(shown.id, user) is Why.BANNED
        with pytest.raises(Refused) as refusal:
            await sit(state, shown, user)
        assert refusal.value.why is Why.BANNED

    clock.pass_s(61)
    await sit(state, shown, "aya")
    await state.unban(shown.id, "ben")
    await sit(state, shown, "ben")


async def test_a_locked_room_lets_in_the_admitted_and_those_inside(state, shown):
    await sit(state, shown, "aya")
    await state.show_room(msgspec.structs.replace(shown, locked=True))

    with pytest.raises(Refused) as refusal:
        await sit(state, shown, "ben")
    assert refusal.value.why is Why.ROOM_LOCKED
    await sit(state, shown, "aya", "again")
    await sit(state, shown, "cho", admitted=True)


async def test_a_seat_number_does_not_pass_to_another_person(state, shown):
    aya = await sit(state, shown, "aya")
    await state.leave(shown.id, "aya", aya.generation, Reason.LEFT)
    ben = await sit(state, shown, "ben")

    assert ben.me.seat != aya.me.seat


async def test_events_are_numbered_without_gaps_whoever_sends(state, shown):
    await sit(state, shown, "aya")
    await sit(state, shown, "ben")
    answers = await asyncio.gather(
        *(
            state.append(shown.id, user, f"m{n}", b'{"type":"chat"}', chat=True)
            for user in ("aya", "ben")
            for n in range(20)
        )
    )

    assert sorted(answer.at.offset for answer in answers) == list(range(3, 43))


async def test_a_repeated_id_gives_the_same_place_and_no_second_event(state, shown, clock):
    await sit(state, shown, "aya")
    first = await state.append(shown.id, "aya", "m", b'{"type":"chat"}', chat=True)
    clock.pass_s(5)
    again = await state.append(shown.id, "aya", "m", b'{"type":"chat"}', chat=True)

    assert (first.fresh, again.fresh) == (True, False)
    assert again.at == first.at
    assert again.time == first.time
    assert await state.head(shown.id) == first.at


async def test_the_same_id_from_two_people_makes_two_events(state, shown):
    await sit(state, shown, "aya")
    await sit(state, shown, "ben")
    first = await state.append(shown.id, "aya", "m", b"{}", chat=False)
    second = await state.append(shown.id, "ben", "m", b"{}", chat=False)

    assert second.at.offset == first.at.offset + 1


async def test_only_those_inside_can_add_to_the_log(state, shown):
    with pytest.raises(Refused) as refusal:
        await state.append(shown.id, "aya", "m", b"{}", chat=True)
    assert refusal.value.why is Why.SESSION_UNKNOWN


async def test_the_log_is_read_from_any_place_it_reaches(state, shown):
    seated = await sit(state, shown, "aya")
    for n in range(5):
        await state.append(shown.id, "aya", f"m{n}", b'{"n":%d}' % n, chat=False)

    after = await state.read(shown.id, seated.head, 3)
    assert [event.offset for event in after] == [2, 3, 4]
    assert bodies(after) == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert await state.read(shown.id, Position(seated.head.epoch, 6), 3) == ()


async def test_the_log_says_when_it_does_not_reach_back(state, shown):
    seated = await sit(state, shown, "aya")
    for n in range(limits.LOG_EVENTS + 10):
        await state.append(shown.id, "aya", f"m{n}", b"{}", chat=False)

    assert await state.read(shown.id, seated.head, 10) is None
    assert await state.read(shown.id, Position("another", 1), 10) is None
    assert await state.read(shown.id, Position(seated.head.epoch, 10**6), 10) is None
    edge = await state.read(shown.id, Position(seated.head.epoch, 11), 1)
    assert [event.offset for event in edge] == [12]


async def test_newcomers_get_the_last_chat_and_only_chat(state, shown):
    await sit(state, shown, "aya")
    for n in range(limits.HISTORY + 5):
        await state.append(shown.id, "aya", f"c{n}", b'{"n":%d,"s":"a|b"}' % n, chat=True)
        await state.append(shown.id, "aya", f"s{n}", b"{}", chat=False)

    history = (await sit(state, shown, "ben")).history
    assert [body["n"] for body in bodies(history)] == list(range(5, limits.HISTORY + 5))


async def test_an_amended_member_is_told_once_and_seen_by_newcomers(state, shown):
    aya = await sit(state, shown, "aya")
    position, event = await state.amend(shown.id, "aya", {"muted": True, "name": "Aya"})

    assert json.loads(event.body) == {
        "type": "member",
        "seat": aya.me.seat,
        "userId": "aya",
        "muted": True,
    }
    assert position.offset == event.offset == 2
    assert await state.amend(shown.id, "aya", {"muted": True}) is None
    assert await state.amend(shown.id, "nobody", {"muted": True}) is None
    assert (await state.members(shown.id))[0].muted


async def test_an_ended_room_is_empty_and_stays_ended(state, shown):
    await sit(state, shown, "aya")
    over = msgspec.structs.replace(shown, status=RoomStatus.ENDED)
    _, event = await state.end_room(over, b'{"type":"ended","reason":"owner"}')

    assert event.offset == 2
    assert await state.members(shown.id) == ()
    await state.show_room(shown)  # by a ticket request that began before the end
    for resume in (False, True):
        with pytest.raises(Refused) as refusal:
            await sit(state, shown, "aya", resume=resume)
        assert refusal.value.why is Why.ROOM_ENDED


async def test_a_changed_room_tells_only_those_inside(state, shown):
    changed = msgspec.structs.replace(shown, name="Garden")
    assert await state.change_room(changed, b'{"type":"room"}') is None

    assert (await sit(state, shown, "aya")).room.name == "Garden"
    _, event = await state.change_room(changed, b'{"type":"room"}')
    assert event.offset == 2


async def test_a_room_is_never_shown_as_it_was_before_a_change(state, shown):
    await sit(state, shown, "aya")
    locked = msgspec.structs.replace(shown, locked=True, revision=1)
    slowed = msgspec.structs.replace(locked, slow_mode_s=30, revision=2)
    assert await state.change_room(slowed, b'{"type":"room"}') is not None
    # The change before that comes late, and so does a ticket request that began before both.
    assert await state.change_room(locked, b'{"type":"room"}') is None
    await state.show_room(shown)

    with pytest.raises(Refused) as refusal:
        await sit(state, shown, "ben")
    assert refusal.value.why is Why.ROOM_LOCKED
    assert (await sit(state, shown, "aya")).room == slowed
    await state.show_room(slowed)
    over = msgspec.structs.replace(shown, status=RoomStatus.ENDED)
    assert await state.end_room(over, b'{"type":"ended"}') is not None


async def test_names_with_any_signs_come_back_as_they_were(state, shown):
    name = 'あや "<|>" \\ \u2028 👋🏽'
    await sit(state, shown, "aya|x", "s", name=name)
    aya = (await state.members(shown.id))[0]
    assert (aya.user_id, aya.name) == ("aya|x", name)

    await state.amend(shown.id, "aya|x", {"away": True})
    assert (await state.members(shown.id))[0].name == name


async def test_a_ticket_burns_once_however_many_try(state):
    tries = await asyncio.gather(*(state.burn("jti", 60) for _ in range(20)))
    assert sorted(tries) == [False] * 19 + [True]


async def test_a_resume_token_is_found_and_retires_soon(state, redis):
    what = Resumable("room", "session", guest("aya"), 1)
    await state.save_resume("hash", what)
    assert await state.find_resume("hash") == what
    assert await state.find_resume("other") is None

    await state.retire_resume("hash")
    assert await redis.ttl("vchat:resume:hash") <= limits.RESUME_GRACE_S
    await state.keep_resumes(["hash"])
    assert await redis.ttl("vchat:resume:hash") > limits.RESUME_GRACE_S


async def test_a_used_resume_token_works_once_more(state):
    await state.save_resume("hash", Resumable("room", "session", guest("aya"), 1))
    await state.retire_resume("hash")
    assert await state.find_resume("hash")
    await state.retire_resume("hash")
    assert await state.find_resume("hash") is None


async def test_a_bucket_gives_its_burst_and_then_its_rate(state, clock):
    rate = Rate(burst=3, per_s=2)
    assert [await state.spend("k", rate) for _ in range(4)] == [0, 0, 0, 500]
    clock.pass_s(0.5)
    assert [await state.spend("k", rate) for _ in range(2)] == [0, 500]
    assert await state.spend("other", rate) == 0


async def test_a_wiped_server_starts_another_epoch(state, shown, redis):
    before = await sit(state, shown, "aya")
    await redis.flushall()

    renewal = await state.renew(shown.id, "relay-a", {"aya": before.generation}, hosting=True)
    assert renewal.gone == ("aya",)
    assert renewal.head.epoch != before.head.epoch
    assert await state.read(shown.id, before.head, 10) is None


async def say(state: RedisState, where: Room, text: str, known: Position | None = None) -> Position:
    body = json.dumps({"type": "chat", "text": text}).encode()
    said = await state.append(where.id, "aya", text, body, chat=True, known=known)
    return said.at


async def lose_what_follows(state: RedisState, where: Room, redis: Redis, *texts: str) -> Position:
    """Say something that the server then forgets, as after a failover; where it stood."""
    kept = {key: await redis.dump(key) for key in await redis.keys()}
    for text in texts:
        known = await say(state, where, text)
    await redis.flushall()
    for key, value in kept.items():
        await redis.restore(key, 0, value)
    return known


async def test_no_step_leaves_anything_of_a_room_for_ever(state, shown, redis):
    async def leave(user: str, reason: Reason, *, away: bool = False) -> None:
        seat = await sit(state, shown, user)
        if away:
            await state.doze(shown.id, user, seat.generation, 60)
        await state.leave(shown.id, user, None, reason)

    changed = msgspec.structs.replace(shown, name="Another")
    steps = (
        sit(state, shown, "aya"),
        say(state, shown, "the first chat"),
        leave("ben", Reason.IDLE),
        leave("cho", Reason.KICKED, away=True),
        leave("dan", Reason.LOST),
        state.amend(shown.id, "dan", {"muted": True}),
        state.change_room(changed, b"{}"),
        leave("aya", Reason.LEFT),
        state.change_room(changed, b"{}"),
        state.ban(shown.id, "eve", None),
        state.end_room(changed, b"{}"),
        state.renew(shown.id, "relay-a", {}, hosting=False),
    )
    for n, step in enumerate(steps):
        await step
        kept = {key: await redis.ttl(key) for key in await redis.keys()}
        assert [key for key, ttl in kept.items() if ttl < 0] == [], n


async def test_who_is_lost_in_passing_is_not_kept_for_ever(state, shown, redis, clock):
    await sit(state, shown, "aya")
    clock.pass_s(limits.LEASE_S)
    await state.change_room(shown, b"{}")
    assert all([await redis.ttl(key) > 0 for key in await redis.keys()])


async def test_a_new_epoch_has_nothing_of_the_one_before(state, shown, redis):
    old = await sit(state, shown, "aya")
    await say(state, shown, "said last week")
    # What should have been gone with the rest, and was not.
    for key in await redis.keys():
        if not key.endswith((b":chat", b":log")):
            await redis.delete(key)
    await state.show_room(shown)
    new = await sit(state, shown, "ben")
    assert new.head.epoch != old.head.epoch
    assert new.history == ()
    assert [event["type"] for event in bodies(new.events)] == ["joined"]
    assert len(await state.read(shown.id, Position(new.head.epoch, 0), 10)) == new.head.offset


async def test_a_log_that_lost_its_end_goes_on_under_another_name(state, shown, redis):
    aya = await sit(state, shown, "aya")
    await say(state, shown, "kept")
    known = await lose_what_follows(state, shown, redis, "lost", "lost too")

    seats = {"aya": aya.generation}
    renewal = await state.renew(shown.id, "relay-a", seats, hosting=True, known=known)
    assert renewal.head == Position(renewal.head.epoch, 2)
    assert renewal.head.epoch != known.epoch
    assert await state.read(shown.id, known, 10) is None
    left = await state.read(shown.id, Position(renewal.head.epoch, 0), 10)
    assert [event.get("text") for event in bodies(left)] == [None, "kept"]
    again = await state.renew(shown.id, "relay-b", {}, hosting=True, known=known)
    assert again.head == renewal.head
    assert await say(state, shown, "kept", known) == Position(renewal.head.epoch, 2)


async def test_nothing_is_acknowledged_at_a_place_in_the_log_that_was_taken(state, shown, redis):
    await sit(state, shown, "aya")
    known = await lose_what_follows(state, shown, redis, "lost")

    with pytest.raises(Refused) as refusal:
        await say(state, shown, "new", known)
    assert refusal.value.why is Why.SESSION_UNKNOWN
    head = await state.head(shown.id)
    assert head == Position(head.epoch, 1)
    assert head.epoch != known.epoch


async def test_whoever_knows_less_than_the_log_has_changes_nothing(state, shown):
    aya = await sit(state, shown, "aya")
    for known in (aya.head, await say(state, shown, "one"), Position("another", 99), None):
        at = await say(state, shown, "two", known)
        renewal = await state.renew(shown.id, "relay-a", {}, hosting=True, known=known)
        assert renewal.head == at == Position(aya.head.epoch, 3)


async def test_an_unreachable_server_is_a_retryable_refusal():
    state = RedisState(connect(f"redis://127.0.0.1:{free_port()}"))
    with pytest.raises(Refused) as refusal:
        await state.burn("jti", 60)
    assert refusal.value.why is Why.UNAVAILABLE
    assert refusal.value.retry_ms
    await state.close()


async def test_a_note_is_taken_once(state):
    await state.put_note("login:1", b"\x00old", 60)
    await state.put_note("login:1", b"\x00new", 60)
    assert await state.note("login:1") == b"\x00new"
    taken = await asyncio.gather(*(state.take_note("login:1") for _ in range(10)))
    assert sorted(filter(None, taken)) == [b"\x00new"]
    assert await state.note("login:1") is None


async def test_where_a_person_may_be_is_remembered(state):
    assert await state.visits("u1") == ()
    for room_id in ("r2", "r1", "r2"):
        await state.remember_visit("u1", room_id)
    assert await state.visits("u1") == ("r1", "r2")
    assert await state.visits("u2") == ()


async def test_who_comes_muted_sits_muted(state):
    where = room()
    await state.show_room(where)
    assert (await sit(state, where, "u1", muted=True)).me.muted


async def test_a_storm_waits_for_a_connection_and_nobody_is_refused(redis_port):
    redis = connect(f"redis://127.0.0.1:{redis_port}")
    state = RedisState(redis)
    try:
        first = await asyncio.gather(*(state.burn(f"storm-{n}", 60) for n in range(500)))
        assert all(first)
        known = redis.connection_pool
        assert len(known._in_use_connections) + len(known._available_connections) <= _CONNECTIONS
    finally:
        await state.close()
