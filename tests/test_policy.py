"""One table decides on every plane: HTTP, the relay and LiveKit are asked, and must agree."""

import jwt
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.voice_livekit import LiveKit
from tests.fakes.livekit import KEY, SECRET
from tests.http_api import Guest
from tests.meeting import Meeting
from tests.meeting import _meeting as _meeting
from tests.relays import Browser
from vchat.policy import POLICY, Action, Role, may, may_act_on
from vchat.voice import Speaker, may_speak

ROLES, ACTIONS = st.sampled_from(Role), st.sampled_from(Action)


@given(ROLES, ROLES, ACTIONS)
def test_a_higher_role_may_all_that_a_lower_one_may(one, other, action):
    higher, lower = sorted((one, other), key=list(Role).index)
    assert may(higher, action) or not may(lower, action)


@given(ROLES, ROLES, ACTIONS)
def test_nobody_acts_on_an_equal_or_a_better(actor, target, action):
    if may_act_on(actor, action, target):
        assert may(actor, action)
        assert list(Role).index(actor) < list(Role).index(target)
        assert not may_act_on(target, action, actor)


@given(ROLES, st.booleans(), st.text(max_size=40))
def test_livekit_grants_what_the_table_says(role, muted, name):
    speaker = Speaker("r1", "u1", name, role, None, muted)
    token = LiveKit("wss://voice.test", KEY, SECRET).token(speaker, now=1e9)
    grants = jwt.decode(token, options={"verify_signature": False})["video"]
    assert grants["canPublish"] == may_speak(role, muted=muted)
    assert may_speak(role, muted=False) == may(role, Action.SPEAK)
    assert not may_speak(role, muted=True)
    # Nothing but listening is beyond the table.
    assert {name for name, value in grants.items() if value is True} - {"canPublish"} == {
        "roomJoin",
        "canSubscribe",
    }


def test_every_role_has_a_row_and_every_action_someone_who_may():
    assert list(POLICY) == list(Role)
    assert set(Action) == set().union(*POLICY.values())


async def as_role(meeting: Meeting, owner: Guest, room: str, role: Role) -> Guest:
    if role is Role.OWNER:
        return owner
    guest = await meeting.api.guest()
    response = await owner.moderate(room, "role", userId=guest.id, role=role.value)
    assert response.status_code == 204, response.text
    return guest


async def http_lets(meeting: Meeting, action: Action, room: str, who: Guest) -> bool:
    """Whether HTTP lets someone do this to a spectator, or to the room."""
    target = (await meeting.api.guest()).id
    await set_spectator(meeting, room, target)
    calls = {
        Action.INVITE: ("POST", f"/rooms/{room}/invites", None),
        Action.KICK: ("POST", None, {"action": "kick", "userId": target}),
        Action.BAN: ("POST", None, {"action": "ban", "userId": target}),
        Action.MUTE: ("POST", None, {"action": "mute", "userId": target}),
        Action.LOCK: ("POST", None, {"action": "unlock"}),
        Action.SLOW: ("POST", None, {"action": "slow", "seconds": 0}),
        Action.SET_ROLE: ("POST", None, {"action": "role", "userId": target, "role": "member"}),
        Action.EDIT_ROOM: ("PATCH", f"/rooms/{room}", {"description": "x"}),
        Action.TRANSFER: ("POST", None, {"action": "transfer", "userId": target}),
        Action.END_ROOM: ("DELETE", f"/rooms/{room}", None),
    }
    method, path, body = calls[action]
    response = await who(method, path or f"/rooms/{room}/moderation", body)
    # Not there to be kicked is no matter of policy.
    assert response.status_code in (200, 201, 204, 403, 409), response.text
    return response.status_code != 403


async def set_spectator(meeting: Meeting, room: str, user_id: str) -> None:
    await meeting.services.store.change_standing(
        room, user_id, lambda standing: msgspec.structs.replace(standing, role=Role.SPECTATOR)
    )


async def relay_lets(browser: Browser, watching: Browser, action: Action) -> bool:
    """Whether the relay takes this, as the answer or the others' eyes tell."""
    match action:
        case Action.POSE:
            await browser.pose(1, b"\x01\x02\x03")
        case Action.CHAT:
            await browser.send(type="chat", id="c", text="hello")
        case Action.SIGNAL:
            await browser.send(type="signal", id="s", name="wave", data=1)
    # A pose that is taken has no answer but the tick that shows it.
    if action is Action.POSE and may(browser_role(browser), Action.POSE):
        return bool((await watching.tick())[1])
    while (answer := await browser.text())["type"] not in ("ack", "error"):
        pass
    assert answer["type"] == "ack" or answer["code"] == "forbidden", answer
    return answer["type"] == "ack"


def browser_role(browser: Browser) -> Role:
    return Role(browser.welcome["role"])


ON_THE_RELAY = (Action.POSE, Action.CHAT, Action.SIGNAL)


@pytest.mark.parametrize("role", Role)
async def test_http_relay_and_voice_agree_with_the_table(meeting: Meeting, role):
    for action in Action:
        owner = await meeting.api.guest()
        room = await owner.room()
        who = await as_role(meeting, owner, room, role)
        if action in ON_THE_RELAY:
            browser = await meeting.join(room, who)
            watching = await meeting.join(room, await meeting.api.guest())
            assert browser.welcome["role"] == role.value
            assert await relay_lets(browser, watching, action) == may(role, action), action
            await browser.leave()
            await watching.leave()
        elif action is Action.SPEAK:
            browser = await meeting.join(room, who)
            token = (await who("POST", f"/rooms/{room}/voice-tokens")).json()["token"]
            grants = jwt.decode(token, options={"verify_signature": False})["video"]
            assert grants["canPublish"] == may(role, action)
            await browser.leave()
        else:
            assert await http_lets(meeting, action, room, who) == may(role, action), action
