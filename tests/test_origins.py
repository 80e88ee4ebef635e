"""Which pages may talk to us: those of the exact origins that are configured, at every door."""

import pytest
from fakeredis import FakeAsyncRedis

from adapters.matching_redis import RedisQueue
from adapters.state_redis import RedisState
from tests.http_world import PAGE, World
from tests.http_world import _world as _world
from tests.relays import ORIGIN, new_room, open_socket, running_relay, ticket


def like(origin: str) -> list[str]:
    """Origins that are not this one, however near."""
    scheme, _, host = origin.partition("://")
    return [
        "null",
        "",
        f"{origin}/",
        f"{origin}.evil.example",
        f"{origin}:8443" if ":" not in host else f"{origin}1",
        f"{scheme}://sub.{host}",
        f"{scheme}://evil.example",
        f"{scheme}://{host}@evil.example",
        f"{'http' if scheme == 'https' else 'https'}://{host}",
        f"{origin}, https://evil.example",
        origin.upper(),
        "*",
    ]


@pytest.mark.parametrize("path", ["/rooms/{room}", "/lobby"])
async def test_a_socket_opens_for_pages_of_ours_and_for_programs(path):
    redis = FakeAsyncRedis()
    room = new_room()
    async with running_relay(RedisState(redis), queue=RedisQueue(redis)) as relay:
        await relay.state.show_room(room)
        url = relay.url + path.format(room=room.id)
        for origin in like(ORIGIN):
            page = await open_socket(url, additional_headers={"Origin": origin})
            closed = await page.closed()
            assert (closed.code, closed.bye["reason"]) == (4307, "bad-origin"), origin
        for good in ({"Origin": ORIGIN}, {}):
            page = await open_socket(url, additional_headers=good)
            await page.send(type="hello", ticket=ticket(room.id, "aya"))
            if path == "/lobby":
                assert (await page.closed()).code == 4300  # heard, and it wants another ticket
            else:
                assert (await page.text())["type"] == "welcome"
    await redis.aclose()


async def test_the_api_answers_pages_of_ours_alone(world: World):
    for origin in [PAGE, *like(PAGE)]:
        preflight = await world.api(
            "OPTIONS",
            "/me",
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "DELETE",
                "Access-Control-Request-Headers": "authorization",
            },
            unmarked=True,
        )
        answers = [
            preflight,
            await world.api("GET", "/rooms", headers={"Origin": origin}),
            await world.api("DELETE", "/me", headers={"Origin": origin}),  # a refusal
            await world.api("GET", "/nothing", headers={"Origin": origin}),
        ]
        for answer in answers:
            allowed = answer.headers.get("access-control-allow-origin")
            assert allowed == (PAGE if origin == PAGE else None), origin
            # No cookie signs anybody in, and none may be asked for.
            assert "access-control-allow-credentials" not in answer.headers
        assert (preflight.status_code == 200) == (origin == PAGE)
    without = await world.api("GET", "/rooms")
    assert "access-control-allow-origin" not in without.headers


async def test_a_page_may_send_only_what_a_call_of_ours_needs(world: World):
    for method, header, good in (
        ("PATCH", "content-type", True),
        ("POST", "firebase-instance-id-token", True),
        ("POST", "x-firebase-appcheck", True),
        ("TRACE", "content-type", False),
        ("POST", "x-forwarded-for", False),
        ("POST", "cookie", False),
    ):
        preflight = await world.api(
            "OPTIONS",
            "/rooms",
            headers={
                "Origin": PAGE,
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": header,
            },
            unmarked=True,
        )
        assert (preflight.status_code == 200) == good, (method, header)
