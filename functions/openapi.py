"""The OpenAPI 3.1 document, made from the same table as the routes.

`python -m functions.openapi > docs/openapi.json` writes it anew.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from functions.app import OPERATIONS
from functions.fields import schema_of
from functions.problems import MEDIA_TYPE
from functions.shapes import Problem
from functions.web import Operation, SignIn
from vchat.errors import Why

_PARAMETER = re.compile(r"{(\w+)}")
_TAGS = {
    "auth": "Signing in, and the caller's own account",
    "avatars": "VRoid Hub's models",
    "rooms": "Rooms, who is in them, invites and moderation",
    "tokens": "Tickets and public keys",
    "every": "For operators",
}
_OURS = (Why.INTERNAL, Why.UNAVAILABLE)


def document() -> dict[str, Any]:
    types = {t for one in OPERATIONS for t in (one.answer, one.body, one.query) if t} | {Problem}
    _, schemas = msgspec.json.schema_components(
        sorted(types, key=lambda t: t.__name__),
        schema_hook=schema_of,
        ref_template="#/components/schemas/{name}",
    )
    queries = {one.query.__name__ for one in OPERATIONS if one.query}
    paths: dict[str, dict[str, Any]] = {}
    responses: dict[str, Any] = {"default": _problem("Something broke, or is away", _OURS)}
    for one in OPERATIONS:
        described = _operation(one, schemas)
        paths.setdefault(_camel(one.path), {})[one.method.lower()] = described
        for status, group in _by_status(refusals(one)).items():
            responses[_name(group)] = _problem("; ".join(w.value.title for w in group), group)
            reference = {"$ref": f"#/components/responses/{_name(group)}"}
            described["responses"][str(status)] = reference
        described["responses"]["default"] = {"$ref": "#/components/responses/default"}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "V-Chat",
            "version": "1",
            "description": "Accounts, rooms and tickets. docs/http.md says what this cannot.",
        },
        "servers": [{"url": "http://localhost:8080/api", "description": "make run"}],
        "tags": [{"name": name, "description": about} for name, about in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": {n: s for n, s in sorted(schemas.items()) if n not in queries},
            "responses": dict(sorted(responses.items())),
            "securitySchemes": {
                "accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def refusals(operation: Operation) -> list[Why]:
    """Every way this operation may refuse, but for those that are our own fault."""
    found = set(operation.refusals)
    if "{room_id}" in operation.path:
        found |= {Why.ROOM_NOT_FOUND, Why.TOO_FAST}
    if operation.reads_json:
        found |= {Why.INVALID_JSON, Why.INVALID_REQUEST, Why.PAYLOAD_TOO_LARGE}
    if operation.query is not None:
        found.add(Why.INVALID_REQUEST)
    if operation.sign_in is not SignIn.NONE:
        found |= {Why.UNAUTHENTICATED, Why.TOKEN_EXPIRED}
    return [why for why in Why if why in found]


def _operation(one: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _camel(one.handler.__name__),
        "tags": [one.target],
        "summary": one.summary,
        "security": {
            SignIn.NONE: [],
            SignIn.OPTIONAL: [{}, {"accessToken": []}],
            SignIn.REQUIRED: [{"accessToken": []}],
        }[one.sign_in],
    }
    if parameters := [*_in_path(one.path), *_in_query(one.query, schemas)]:
        described["parameters"] = parameters
    if one.body is not None:
        described["requestBody"] = {
            "required": any(field.required for field in msgspec.structs.fields(one.body)),
            "content": {"application/json": {"schema": _reference(one.body)}},
        }
    success: dict[str, Any] = {"description": "Done"}
    if one.answer is not None:
        success["content"] = {"application/json": {"schema": _reference(one.answer)}}
    described["responses"] = {str(one.status): success}
    return described


def _by_status(whys: Iterable[Why]) -> dict[int, list[Why]]:
    groups: dict[int, list[Why]] = {}
    for why in whys:
        assert why.value.status is not None, f"{why} has no HTTP status"
        groups.setdefault(why.value.status, []).append(why)
    return dict(sorted(groups.items()))


def _name(group: Iterable[Why]) -> str:
    return ".".join(why.value.code for why in group)


def _problem(description: str, group: Iterable[Why]) -> dict[str, Any]:
    schema = {
        "allOf": [_reference(Problem)],
        "properties": {"code": {"enum": [why.value.code for why in group]}},
    }
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


def _in_path(path: str) -> list[dict[str, Any]]:
    return [
        {"name": _camel(name), "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(path)
    ]


def _in_query(query: type[msgspec.Struct] | None, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    if query is None:
        return []
    schema = schemas[query.__name__]
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": s}
        for name, s in schema["properties"].items()
    ]


def _reference(kind: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


if __name__ == "__main__":
    print(json.dumps(document(), indent=2, ensure_ascii=False))
