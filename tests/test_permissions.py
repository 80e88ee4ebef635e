"""Roles are what the adapters call: read out of their code, and held to the plan."""

import ast
import re
from pathlib import Path

import pytest

from infra.tools import plan_check
from infra.tools.plan_check import Plan
from tests.terraform import ROOT

pytestmark = pytest.mark.xdist_group("terraform")

# Which permission a call wants: cloud.google.com/pubsub/docs/access-control, its table of roles.
PUBSUB = {
    "publish": {"pubsub.topics.publish"},
    "create_topic": {"pubsub.topics.create"},
    "delete_topic": {"pubsub.topics.delete"},
    "list_topics": {"pubsub.topics.list"},
    "create_subscription": {"pubsub.subscriptions.create", "pubsub.topics.attachSubscription"},
    "get_subscription": {"pubsub.subscriptions.get"},
    "delete_subscription": {"pubsub.subscriptions.delete"},
    "list_subscriptions": {"pubsub.subscriptions.list"},
    "streaming_pull": {"pubsub.subscriptions.consume"},
}
MODULES = {
    "relay": ("bus_pubsub.py", "pubsub_listening.py"),
    "janitor": ("pubsub_janitor.py",),
}
CLIENTS = {
    "google.cloud.firestore_v1": ("api", "janitor"),
    "google.pubsub_v1": ("api", "janitor", "relay"),
}
"""Google's client libraries that adapters may import, and whose account has a role for each."""


@pytest.fixture(name="plan")
def _plan(plans: dict[str, Plan]) -> Plan:
    return plans["prod"]


def calls_of_wire() -> dict[str, set[str]]:
    """By method of the wire: what it calls of Google's client."""
    (wire,) = (
        node
        for node in ast.parse((ROOT / "adapters" / "pubsub_wire.py").read_text()).body
        if isinstance(node, ast.ClassDef)
    )
    called = {}
    for method in wire.body:
        if isinstance(method, ast.AsyncFunctionDef):
            names = {
                node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
                for node in ast.walk(method)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)
            }
            called[method.name] = names & PUBSUB.keys()
    return called


def used_of_wire(path: Path, only: set[str] | None = None) -> set[str]:
    """The wire's methods that a module names, or that some of its functions name."""
    tree = ast.parse(path.read_text())
    parts = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)
        and (only is None or node.name in only)
    ]
    return {
        node.attr
        for part in parts
        for node in ast.walk(part)
        if isinstance(node, ast.Attribute)
        and (
            (isinstance(node.value, ast.Name) and node.value.id == "wire")
            or (isinstance(node.value, ast.Attribute) and node.value.attr == "_wire")
        )
    }


def wanted(used: set[str]) -> set[str]:
    calls = calls_of_wire()
    return {
        permission
        for method in used
        for call in calls.get(method, set())
        for permission in PUBSUB[call]
    }


def granted(plan: Plan, who: str) -> set[str]:
    roles = dict(plan_check.of_type(plan, "google_project_iam_custom_role"))
    return set(roles[f'google_project_iam_custom_role.pubsub["{who}"]']["permissions"])


@pytest.mark.parametrize("who", MODULES)
def test_the_pubsub_role_is_what_the_adapter_calls(plan: Plan, who: str) -> None:
    used = set().union(*(used_of_wire(ROOT / "adapters" / name) for name in MODULES[who]))
    assert granted(plan, who) == wanted(used)


def test_the_api_may_publish_and_does_nothing_else_on_the_bus(plan: Plan) -> None:
    named = re.findall(
        r"\bbus\.(\w+)\(", "".join(path.read_text() for path in (ROOT / "functions").glob("*.py"))
    )
    assert set(named) <= {"publish", "check", "close"}
    theirs = {"check", "publish", "_send", "_publish"}
    used = used_of_wire(ROOT / "adapters" / "bus_pubsub.py", theirs)
    assert granted(plan, "api") == wanted(used)


def test_every_call_to_pubsub_is_in_the_table() -> None:
    """One that is made without the wire, or that the table lacks, would need a role nobody gave."""
    calls = calls_of_wire()
    assert set().union(*calls.values()) == PUBSUB.keys()
    text = (ROOT / "adapters" / "pubsub_wire.py").read_text()
    assert set(re.findall(r"(?:publisher|subscriber)\.(\w+)\(", text)) <= PUBSUB.keys()


def test_whoever_imports_a_google_client_has_a_role_for_it(plan: Plan) -> None:
    imported = {
        found
        for path in (ROOT / "adapters").glob("*.py")
        for found in re.findall(
            r"^ *(?:from|import) (google\.(?:cloud\.\w+|pubsub_v1))", path.read_text(), re.MULTILINE
        )
    }
    assert imported == CLIENTS.keys()
    members = {
        (values["member"].partition("@")[0].removeprefix("serviceAccount:vchat-"), values["role"])
        for _, values in plan_check.of_type(plan, "google_project_iam_member")
    }
    # What this role holds of Firestore is documents, not databases or indexes; the client that
    # makes those is another library.
    assert {who for who, role in members if role == "roles/datastore.user"} == set(
        CLIENTS["google.cloud.firestore_v1"]
    )
    pubsub = {who for who, role in members if role.endswith("_pubsub")}
    assert pubsub == set(CLIENTS["google.pubsub_v1"])


def test_each_secret_is_read_by_those_whose_settings_ask_for_it_and_nobody_else(plan: Plan) -> None:
    readers: dict[str, set[str]] = {}
    for address, _ in plan_check.of_type(plan, "google_secret_manager_secret_iam_member"):
        who, secret = re.findall(r'"(\w+)/(\w+)"', address)[0]
        readers.setdefault(who, set()).add(secret)
    needed: dict[str, set[str]] = {}
    for service, (plain, secret) in plan_check.environments(plan).items():
        # A setting may hold the secret, or say where the service reads it by itself.
        named = {name for name, value in plain.items() if "/secrets/" in (value or "")}
        needed[service] = secret | named
    relays = set().union(*(needed.pop(name) for name in list(needed) if name.startswith("relay-")))
    assert readers == {**needed, "relay": relays}
