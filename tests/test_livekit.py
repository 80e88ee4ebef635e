"""Voice: LiveKit's own libraries read our tokens and our wishes, and sign the hooks we believe.

Held to LiveKit's published libraries; no LiveKit server ran.
"""

import base64
import hashlib
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import jwt
import pytest

from adapters.voice_livekit import LiveKit
from tests.fakes.livekit import KEY, SECRET, webhook
from tests.http_api import refused
from tests.identity_world import House
from tests.identity_world import _house as _house
from tests.identity_world import _log as _log
from vchat import limits
from vchat.model import Avatar
from vchat.policy import POLICY, Action, Role
from vchat.voice import Happening, Speaker

VECTOR = json.loads((Path(__file__).parent / "vectors" / "livekit.json").read_text())
VOICE = LiveKit("wss://voice.test", KEY, SECRET)


def speaker(role: Role = Role.MEMBER, *, muted: bool = False) -> Speaker:
    look = Avatar(source="vroid", id="100", title="T", author="A")
    return Speaker("r1", "u1", "さくら", role, look, muted)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("muted", [False, True])
def test_the_official_verifier_reads_the_least_that_a_role_needs(role, muted):
    from livekit import api  # slow to import, and every worker would

    claims = api.TokenVerifier(KEY, SECRET).verify(
        VOICE.token(speaker(role, muted=muted), now=time.time())
    )
    grants = claims.video
    assert (claims.identity, claims.name, grants.room) == ("u1", "さくら", "r1")
    assert grants.room_join
    assert grants.can_publish is (Action.SPEAK in POLICY[role] and not muted)
    assert grants.can_publish_sources == ["microphone"]
    assert grants.can_subscribe
    assert grants.can_publish_data is False
    assert grants.can_update_own_metadata is False
    assert not any((grants.room_admin, grants.room_create, grants.room_list, grants.room_record))
    assert json.loads(claims.attributes["avatar"])["author"] == "A"
    assert claims.attributes["role"] == role.value


def test_a_token_is_over_within_ten_minutes():
    claims = jwt.decode(VOICE.token(speaker(), now=1e9), options={"verify_signature": False})
    assert 300 <= claims["exp"] - claims["nbf"] <= 600


def test_making_a_token_does_not_import_livekits_library():
    code = "import sys, adapters.voice_livekit; sys.exit('livekit' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


# Over HTTP


async def test_who_sits_in_the_room_may_join_its_call(house: House):
    guest = await house.api.guest()
    room = await guest.room()
    refused(await guest("POST", f"/rooms/{room}/voice-tokens"), 409, "conflict")
    await house.sit(room, guest)
    made = await guest("POST", f"/rooms/{room}/voice-tokens")
    assert made.status_code == 201
    assert made.json()["expiresIn"] == limits.VOICE_TOKEN_S
    claims = jwt.decode(made.json()["token"], options={"verify_signature": False})
    assert (claims["sub"], claims["video"]["room"]) == (guest.id, room)
    other = await guest.room()
    refused(await guest("POST", f"/rooms/{other}/voice-tokens"), 409, "conflict")


async def test_each_act_of_moderation_reaches_the_call(house: House):
    owner, guest = await house.api.guest(), await house.api.guest()
    room = await owner.room()
    await house.sit(room, owner, guest)
    asked = house.livekit.asked

    async def act(action: str, **fields) -> list:
        asked.clear()
        assert (await owner.moderate(room, action, **fields)).status_code == 204
        return list(asked)

    them = {"room": room, "identity": guest.id}
    may = {"can_subscribe": True, "can_publish": True, "can_publish_sources": ["MICROPHONE"]}
    may_not = {name: value for name, value in may.items() if name != "can_publish"}
    assert await act("mute", userId=guest.id) == [
        ("UpdateParticipant", {**them, "permission": may_not})
    ]
    assert await act("unmute", userId=guest.id) == [
        ("UpdateParticipant", {**them, "permission": may})
    ]
    spectator = await act("role", userId=guest.id, role="spectator")
    assert spectator == [("UpdateParticipant", {**them, "permission": may_not})]
    assert await act("kick", userId=guest.id) == [("RemoveParticipant", them)]
    assert await act("ban", userId=guest.id) == [("RemoveParticipant", them)]
    refused(await guest("POST", f"/rooms/{room}/voice-tokens"), 403, "banned")
    asked.clear()
    await owner("DELETE", f"/rooms/{room}")
    assert asked == [("DeleteRoom", {"room": room})]
    refused(await owner("POST", f"/rooms/{room}/voice-tokens"), 410, "room-ended")


@pytest.mark.parametrize("trouble", ["absent", "broken"])
async def test_moderation_works_while_the_voice_server_does_not(house: House, trouble):
    owner, guest = await house.api.guest(), await house.api.guest()
    room = await owner.room()
    await house.sit(room, guest)
    setattr(house.livekit, trouble, True)
    assert (await owner.moderate(room, "kick", userId=guest.id)).status_code == 204
    assert await house.services.state.members(room) == ()
    assert ("voice call not told" in house.log.text) == (trouble == "broken")


# Hooks


async def hook(house: House, event: str, event_id: str, **more):
    body, authorization = webhook(event, event_id, **more)
    headers = {"Authorization": authorization, "Content-Type": "application/webhook+json"}
    # The official library signs for the present, which the clock of these tests is not.
    house.clock.now = round(time.time() * 1000)
    return await house.api("POST", "/hooks/livekit", content=body, headers=headers)


async def in_call(house: House, room: str) -> set[str]:
    members = await house.services.state.members(room)
    return {member.user_id for member in members if member.voice}


async def test_hooks_correct_who_is_shown_in_the_call(house: House):
    guest = await house.api.guest()
    room = await guest.room()
    await house.sit(room, guest)

    def about(sid: str) -> dict:
        return {"room": {"name": room}, "participant": {"identity": guest.id, "sid": sid}}

    assert (await hook(house, "participant_joined", "EV1", **about("PA1"))).status_code == 204
    assert await in_call(house, room) == {guest.id}
    # Back on a new connection before the old one is told to be gone.
    await hook(house, "participant_joined", "EV2", **about("PA2"))
    await hook(house, "participant_left", "EV3", **about("PA1"))
    assert await in_call(house, room) == {guest.id}
    await hook(house, "participant_left", "EV4", **about("PA2"))
    assert await in_call(house, room) == set()
    await hook(house, "participant_joined", "EV5", **about("PA3"))
    await hook(house, "room_finished", "EV6", room={"name": room})
    assert await in_call(house, room) == set()


async def test_a_repeated_hook_acts_once(house: House):
    guest = await house.api.guest()
    room = await guest.room()
    await house.sit(room, guest)
    who = {"room": {"name": room}, "participant": {"identity": "stranger", "sid": "PA1"}}
    for _ in range(3):
        assert (await hook(house, "participant_joined", "EV1", **who)).status_code == 204
    assert house.livekit.asked == [("RemoveParticipant", {"room": room, "identity": "stranger"})]


async def test_who_may_not_be_in_the_call_is_sent_out_or_silenced(house: House):
    owner, guest = await house.api.guest(), await house.api.guest()
    room = await owner.room()
    await house.sit(room, guest)
    await owner.moderate(room, "mute", userId=guest.id)
    house.livekit.asked.clear()
    who = {"room": {"name": room}, "participant": {"identity": guest.id, "sid": "PA1"}}
    await hook(house, "participant_joined", "EV1", **who)
    ((method, fields),) = house.livekit.asked
    assert method == "UpdateParticipant"
    assert "can_publish" not in fields["permission"]


@pytest.mark.parametrize("more", [{}, {"room": {"name": "../x"}}, {"room": {"name": "r" * 500}}])
async def test_a_hook_about_anything_else_is_taken_and_does_nothing(house: House, more):
    assert (await hook(house, "egress_started", "EV1", **more)).status_code == 204
    assert (await hook(house, "participant_joined", "EV2", **more)).status_code == 204
    assert house.livekit.asked == []


def test_the_vector_made_by_the_official_library_is_read():
    now = jwt.decode(VECTOR["webhook_auth"], options={"verify_signature": False})["nbf"]
    news = LiveKit("wss://x", VECTOR["key"], VECTOR["secret"]).news(
        VECTOR["webhook_body"].encode(), VECTOR["webhook_auth"], now=now
    )
    assert (news.what, news.id, news.user_id) == (Happening.LEFT, "EV_1", "u_1")


def forged(body: bytes, *, key: str = KEY, secret: str = SECRET, alg: str = "HS256", **changes):
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    claims = {"iss": key, "nbf": int(time.time()), "exp": int(time.time()) + 300, "sha256": digest}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # for the weak secrets that are meant
        return jwt.encode({**claims, **changes}, secret, algorithm=alg)


async def test_what_livekit_did_not_sign_is_refused(house: House):
    body, good = webhook("room_finished", "EV1", room={"name": "r"})
    house.clock.now = round(time.time() * 1000)
    voice_token = VOICE.token(speaker(), now=time.time())
    bad = [
        (body + b" ", good),
        (body.replace(b"EV1", b"EV2"), good),
        (b"", good),
        (body, ""),
        (body, "Bearer " + good),
        (body, good[:-4] + "AAAA"),
        (body, voice_token),
        (body, forged(body, secret="another-secret-0123456789abcdefghij")),
        (body, forged(body, key="APIother")),
        (body, forged(body, alg="none", secret="")),
        (body, forged(body, exp=int(time.time()) - 61)),
        (body, forged(body, nbf=int(time.time()) + 90)),
        (body, forged(body, exp="9999999999")),
        (body, forged(body, sha256=None)),
        (body, forged(body, sha256=7)),
        (b"[]", forged(b"[]")),
        (b"\xff", forged(b"\xff")),
        (body, "x" * 9000),
    ]
    for content, authorization in bad:
        headers = {"Authorization": authorization}
        response = await house.api("POST", "/hooks/livekit", content=content, headers=headers)
        refused(response, 401, "unauthenticated")
    response = await house.api(
        "POST", "/hooks/livekit", content=b" " * 70_000, headers={"Authorization": good}
    )
    refused(response, 413, "payload-too-large")
    assert good not in house.log.text
