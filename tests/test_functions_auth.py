"""Signing in, staying signed in, the own account."""

import asyncio
from pathlib import Path

import pytest

from tests.components import need
from tests.http_api import pointers, refused
from tests.http_world import World
from tests.http_world import _world as _world
from vchat import limits
from vchat.limits import Rate
from vchat.tokens import ACCESS, TICKET, sign

CLIENT = Path(__file__).parents[1] / "client" / "index.js"
_SIGNS_OUT = """
const [sdk, base] = process.argv.slice(1);
const { VChatApi } = await import(sdk);
const kept = new Map();
const storage = {
  getItem: (key) => kept.get(key) ?? null,
  setItem: (key, value) => void kept.set(key, value),
  removeItem: (key) => void kept.delete(key),
};
const api = new VChatApi(base, { storage });
await api.guest("Aya");
const [token] = kept.values();
await api.logout();
if (kept.size > 0) throw new Error("something is left");
process.stdout.write(token);
"""


async def test_a_name_is_enough_to_be_a_guest(world: World):
    response = await world.api("POST", "/auth/guest", {"name": "  夜の \t さくら "})
    session = response.json()
    assert response.status_code == 201
    assert session["user"] == {
        "id": session["user"]["id"],
        "name": "夜の さくら",
        "avatar": None,
        "identities": [],
    }
    assert session["expiresIn"] == limits.ACCESS_TOKEN_S
    assert response.headers["cache-control"] == "no-store"
    me = await world.api("GET", "/me", token=session["accessToken"])
    assert (me.status_code, me.json()) == (200, session["user"])


@pytest.mark.parametrize(
    "name",
    ["", "  ", "x" * (limits.NAME_LENGTH + 1), "a\u202eb", "a\u2066b", "a\x00b", "\u200d", 7, None],
)
async def test_a_name_that_cannot_be_shown_is_refused(world: World, name):
    assert pointers(await world.api("POST", "/auth/guest", {"name": name})) == ["/name"]


@pytest.mark.parametrize(
    "name",
    [
        "𠮷" * limits.NAME_LENGTH,
        "か\u3099" * limits.NAME_LENGTH,  # typed in two code points each, one when composed
        "👩‍👩‍👧",
    ],
)
async def test_names_are_counted_in_composed_code_points(world: World, name):
    assert (await world.api("POST", "/auth/guest", {"name": name})).status_code == 201


async def test_an_access_token_lives_for_minutes(world: World):
    guest = await world.guest()
    world.clock.pass_s(limits.ACCESS_TOKEN_S - 1)
    assert (await guest("GET", "/me")).status_code == 200
    world.clock.pass_s(limits.CLOCK_LEEWAY_S + 1)
    response = await guest("GET", "/me")
    refused(response, 401, "token-expired")
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_other_tokens_are_not_access_tokens(world: World):
    guest = await world.guest()
    keys = world.services.keys

    def made(kind, **fields):
        ours = {"issuer": world.services.issuer, "kid": keys.kid, "now": world.clock.now // 1000}
        return sign(kind, {"sub": guest.id}, key=keys.signing, **{**ours, **fields})

    assert (await world.api("GET", "/me", token=made(ACCESS))).status_code == 200
    for bad in (
        made(TICKET),
        made(ACCESS, issuer="https://elsewhere.example"),
        made(ACCESS, kid="another"),
        made(ACCESS)[:-4] + "AAAA",
        guest.session["refreshToken"],
        "a.b.c",
        "é",
        "x" * 9000,
    ):
        header = {"Authorization": b"Bearer " + bad.encode("latin-1")}
        response = await world.api("GET", "/me", headers=header)
        refused(response, 401, "unauthenticated")
        assert bad not in response.text
    refused(await world.api("GET", "/me"), 401, "unauthenticated")
    basic = {"Authorization": "Basic dTpw"}
    refused(await world.api("GET", "/me", headers=basic), 401, "unauthenticated")


async def refresh(world: World, token: str):
    return await world.api("POST", "/auth/refresh", {"refreshToken": token})


async def test_a_session_is_refreshed_and_the_old_token_ends_the_sign_in(world: World):
    guest = await world.guest()
    old = guest.session["refreshToken"]
    response = await refresh(world, old)
    new = response.json()
    assert response.status_code == 200
    assert new["user"] == guest.session["user"]
    assert (await world.api("GET", "/me", token=new["accessToken"])).status_code == 200

    refused(await refresh(world, old), 401, "refresh-reused")
    refused(await refresh(world, new["refreshToken"]), 401, "unauthenticated")


async def test_of_two_tabs_that_refresh_at_once_one_is_told_it_was_used(world: World):
    guest = await world.guest()
    answers = await asyncio.gather(
        *(refresh(world, guest.session["refreshToken"]) for _ in range(2))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 401]


async def test_a_refresh_token_expires(world: World):
    guest = await world.guest()
    world.clock.pass_s(limits.REFRESH_TOKEN_S)
    refused(await refresh(world, guest.session["refreshToken"]), 401, "unauthenticated")


@pytest.mark.parametrize("token", ["", "x", "vr_x.y", "vi_" + "x" * 21 + "." + "a" * 43, "é" * 99])
async def test_what_is_no_refresh_token_is_refused(world: World, token):
    refused(await refresh(world, token), 401, "unauthenticated")


async def sign_out(world: World, token: str) -> None:
    """The refresh token is the proof: no access token goes along."""
    done = await world.api("POST", "/auth/logout", {"refreshToken": token})
    assert done.status_code == 204


async def test_signing_out_ends_this_sign_in_only(world: World):
    guest, other = await world.guest(), await world.guest()
    token = guest.session["refreshToken"]
    for _ in range(2):
        await sign_out(world, token)
    refused(await refresh(world, token), 401, "unauthenticated")
    assert (await refresh(world, other.session["refreshToken"])).status_code == 200


async def test_any_token_of_a_sign_in_ends_it_so_that_a_thief_is_signed_out_too(world: World):
    guest, other = await world.guest(), await world.guest()
    old = guest.session["refreshToken"]
    stolen = (await refresh(world, old)).json()["refreshToken"]
    for nobodys in ("x", ""):
        await sign_out(world, nobodys)
    await sign_out(world, old)
    refused(await refresh(world, stolen), 401, "unauthenticated")
    assert (await refresh(world, other.session["refreshToken"])).status_code == 200


async def test_a_page_signs_out_with_the_sdk(world: World):
    node = await asyncio.create_subprocess_exec(
        need("node"),
        *("--input-type=module", "--eval", _SIGNS_OUT, CLIENT.as_uri(), world.api.base),
        stdout=asyncio.subprocess.PIPE,
    )
    token = (await node.communicate())[0].decode()
    assert node.returncode == 0
    refused(await refresh(world, token), 401, "unauthenticated")


async def test_signing_out_counts_as_a_refresh_does(world: World, monkeypatch):
    monkeypatch.setattr(limits, "REFRESHES", Rate(burst=2, per_s=1))
    await sign_out(world, "x")
    refused(await refresh(world, "x"), 401, "unauthenticated")
    refused(await world.api("POST", "/auth/logout", {"refreshToken": "x"}), 429, "too-fast")


async def test_the_store_holds_no_refresh_token(world: World, tmp_path):
    guest = await world.guest()
    secret = guest.session["refreshToken"].partition(".")[2]
    files = [path.read_bytes() for path in tmp_path.glob("vchat.db*")]
    assert any(guest.id.encode() in data for data in files)
    assert not any(secret.encode() in data for data in files)


async def test_the_own_name_and_avatar_can_be_changed(world: World):
    guest = await world.guest()
    renamed = await guest("PATCH", "/me", {"name": "Momo"})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "Momo")
    assert (await guest("PATCH", "/me", {})).json()["name"] == "Momo"
    for avatar in (
        {"source": "preset", "id": "fox-2"},
        {"source": "url", "id": "https://models.example/a.vrm?x=1"},
    ):
        chosen = await guest("PUT", "/me/avatar", avatar)
        assert (chosen.status_code, chosen.json()["avatar"]) == (200, avatar)
    assert (await guest("GET", "/me")).json()["avatar"] == avatar


@pytest.mark.parametrize(
    ("body", "bad"),
    [
        ({}, ["/source", "/id"]),
        ({"source": "file", "id": ""}, ["/source", "/id"]),
        ({"source": "preset", "id": "../etc"}, ["/id"]),
        ({"source": "url", "id": "http://a.example/x.vrm"}, ["/id"]),
        ({"source": "url", "id": "https://user@a.example/x"}, ["/id"]),
        ({"source": "url", "id": "https://[::1/x"}, ["/id"]),
        ({"source": "url", "id": "https://a.example/\n"}, ["/id"]),
        ({"source": "url", "id": "javascript:alert(1)"}, ["/id"]),
        ({"source": "vroid", "id": "123"}, ["/source"]),
    ],
)
async def test_an_avatar_that_cannot_be_used_is_refused(world: World, body, bad):
    guest = await world.guest()
    assert pointers(await guest("PUT", "/me/avatar", body)) == bad


async def test_a_deleted_account_takes_its_rooms_and_tokens_along(world: World):
    owner, other = await world.guest(), await world.guest()
    room, elsewhere = await owner.room(), await other.room()
    await world.seat(room, other)
    await world.seat(elsewhere, owner, other)
    assert (await owner("DELETE", "/me")).status_code == 204
    assert set(await world.inside(elsewhere)) == {other.id}
    refused(await owner("GET", "/me"), 401, "unauthenticated")
    refused(await refresh(world, owner.session["refreshToken"]), 401, "unauthenticated")
    refused(await other("GET", f"/rooms/{room}"), 410, "room-ended")
    assert await world.inside(room) == {}


async def test_an_address_that_makes_guests_without_end_is_told_when_to_come_back(world: World):
    for _ in range(limits.GUESTS.burst):
        await world.guest()
    response = await world.api("POST", "/auth/guest", {"name": "x"})
    refused(response, 429, "too-fast")
    world.clock.pass_s(int(response.headers["retry-after"]))
    await world.guest()
