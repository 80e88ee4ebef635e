"""docs/openapi.json says what the API does: made from it, valid, and lived by."""

import json

from functions.app import OPERATIONS
from functions.openapi import document, refusals
from tests import identity_world
from tests.http_api import OPENAPI, refused
from tests.http_world import BOTH_WAYS, World
from tests.http_world import _world as _world
from vchat.errors import Why


def test_the_committed_file_is_the_one_that_the_code_makes():
    # Otherwise: python -m functions.openapi > docs/openapi.json
    assert json.loads(json.dumps(document())) == OPENAPI


def test_the_file_is_valid_openapi():
    from openapi_spec_validator import validate  # slow to import, and every worker would

    validate(OPENAPI)


def test_every_operation_has_a_name_of_its_own():
    names = [one["operationId"] for path in OPENAPI["paths"].values() for one in path.values()]
    assert len(names) == len(set(names)) == len(OPERATIONS)


def test_every_refusal_that_http_can_give_is_described():
    described = {why for operation in OPERATIONS for why in refusals(operation)}
    over_http = {why for why in Why if why.value.status is not None}
    for_any_address = {Why.METHOD_NOT_ALLOWED, Why.INTERNAL, Why.UNAVAILABLE}
    of_relays = {Why.BAD_ORIGIN, Why.ELSEWHERE, Why.STREAM_OVER, Why.TOO_MANY}  # the stream's
    assert described | for_any_address == over_http - of_relays


@BOTH_WAYS
async def test_every_operation_answers_as_described(world: World):
    """Once through everything; each answer is validated by the client of these tests."""
    owner, guest = await world.guest(), await world.guest()
    api = world.api
    await api("GET", "/health")
    await api("GET", "/.well-known/jwks.json")
    session = {"refreshToken": owner.session["refreshToken"]}
    session = {"refreshToken": (await api("POST", "/auth/refresh", session)).json()["refreshToken"]}
    await api("POST", "/auth/logout", session)
    await owner("GET", "/me")
    await owner("PATCH", "/me", {"name": "Momo"})
    await owner("PUT", "/me/avatar", {"source": "preset", "id": "fox"})
    room = await owner.room()
    await api("GET", "/rooms")
    await owner("GET", f"/rooms/{room}")
    await owner("PATCH", f"/rooms/{room}", {"description": "x"})
    invite = (await owner("POST", f"/rooms/{room}/invites")).json()["id"]
    await owner("DELETE", f"/rooms/{room}/invites/{invite}")
    await world.seat(room, owner, guest)
    members = (await owner("GET", f"/rooms/{room}/members")).json()["items"]
    assert len(members) == 2
    await owner.moderate(room, "kick", userId=guest.id)
    await owner("DELETE", f"/rooms/{room}")
    refused(await owner.ticket(room), 410, "room-ended")
    await owner("DELETE", "/me")

    wanted = {
        (described["operationId"], int(status))
        for path in OPENAPI["paths"].values()
        for described in path.values()
        for status in described["responses"]
        if status.startswith("2") and described["operationId"] not in identity_world.OPERATIONS
    }
    assert wanted <= world.api.spoken
