"""Whatever the OpenAPI file allows to be sent, and whatever it does not: the answers are in it."""

import asyncio
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from functions.app import OPERATIONS
from tests.http_api import OPENAPI, Guest
from tests.identity_world import House
from tests.identity_world import _house as _house
from tests.identity_world import _log as _log

EXAMPLES = 6
"""Of every operation, with what the file allows and again with what it does not."""
# The account or the room that these end must not be the one of all the others.
FATAL = {"deleteMe", "deleteRoom"}


async def test_every_answer_to_any_call_is_a_described_one(house: House, monkeypatch):
    async def free(what, rate):
        return 0

    monkeypatch.setattr(house.services.state, "spend", free)
    owner, spare = await house.someone(), await house.api.guest()
    room, other = await owner.room(), await owner.room(visibility="private")
    await house.sit(room, owner, spare)
    rooms = {True: [await spare.room()], False: [room, other]}
    asked = await asyncio.to_thread(_ask_all, house.api.base, owner, spare, rooms)

    assert {name for name, _ in asked} == {
        one["operationId"] for path in OPENAPI["paths"].values() for one in path.values()
    }
    assert sum(status < 300 for _, status in asked) > len(OPERATIONS) / 2, "hardly anything worked"


def _ask_all(
    base: str, owner: Guest, spare: Guest, rooms: dict[bool, list[str]]
) -> set[tuple[str, int]]:
    import schemathesis  # slow to import, and every worker reads this file
    from schemathesis.generation import GenerationMode

    asked: set[tuple[str, int]] = set()
    schema = schemathesis.openapi.from_dict(OPENAPI)
    for found in schema.get_all_operations():
        operation = found.ok()
        name = operation.definition.raw["operationId"]
        who = spare if name in FATAL else owner
        for mode in GenerationMode:
            try:
                cases = operation.as_strategy(generation_mode=mode)
                _ask(cases, base, who, rooms[name in FATAL], asked, name)
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE  # nothing can be wrong with such a call
    return asked


def _ask(
    cases: Any,
    base: str,
    who: Guest,
    rooms: list[str],
    asked: set[tuple[str, int]],
    name: str,
) -> None:
    from schemathesis import checks as common
    from schemathesis.specs.openapi import checks as described

    checks = [
        common.not_a_server_error,
        described.status_code_conformance,
        described.content_type_conformance,
        described.response_headers_conformance,
        described.response_schema_conformance,
    ]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=cases, room=st.sampled_from([*rooms, None]), signed_in=st.sampled_from([1, 1, 1, 0])
    )
    def attempt(case: Any, room: str | None, signed_in: int) -> None:
        if room is not None and "roomId" in (case.path_parameters or {}):
            case.path_parameters["roomId"] = room
        headers = {"Authorization": f"Bearer {who.token}"} if signed_in else {}
        response = case.call_and_validate(
            base_url=base, headers=headers, checks=checks, allow_redirects=False
        )
        # `default` is for what is our own fault alone.
        assert str(response.status_code) in case.operation.definition.raw["responses"]
        asked.add((name, response.status_code))

    attempt()
