"""What an apply and a destroy do: again is nothing, and what goes is gone.

Pub/Sub is real (the emulator); everything else a stand-in provider only pretends. With the real
provider an apply would ask Google, so these run only where TERRAFORM names a stand-in's wrapper.
"""

import json
import urllib.request

import pytest

from infra.tools import plan_check, secret_values
from tests.emulators import Server
from tests.terraform import COMMAND, INTEGRATIONS, Workspace

pytestmark = pytest.mark.xdist_group("emulators")

PROFILE = ("-var-file=envs/dev.tfvars", "-var=alerts={topic=true}")
APPLY = (*PROFILE, "-no-color", "-auto-approve")


@pytest.fixture(scope="module", name="emulator")
def _emulator(request: pytest.FixtureRequest) -> Server:
    if len(COMMAND) == 1:
        pytest.skip("apply asks Google: set TERRAFORM to a stand-in provider's wrapper to run this")
    server: Server = request.getfixturevalue("pubsub")
    return server


@pytest.fixture(scope="module", name="applied")
def _applied(emulator: Server, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    endpoint = f'pubsub_custom_endpoint = "http://{emulator.address}/v1/"'
    workspace = Workspace(tmp_path_factory.mktemp("apply"), provider=endpoint)
    workspace.run("apply", *APPLY)
    return workspace


def names(emulator: Server, kind: str) -> list[str]:
    url = f"http://{emulator.address}/v1/projects/my-project/{kind}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return [found["name"].rpartition("/")[2] for found in json.load(answer).get(kind, [])]


def test_an_apply_makes_the_topic_and_a_second_one_is_empty(
    applied: Workspace, emulator: Server
) -> None:
    assert names(emulator, "topics") == ["vchat-alerts"]
    assert names(emulator, "subscriptions") == ["vchat-alerts--pager"]
    assert "No changes." in applied.run("plan", *PROFILE, "-no-color", "-detailed-exitcode")


def test_an_apply_repairs_what_was_deleted_behind_its_back(
    applied: Workspace, emulator: Server
) -> None:
    path = "v1/projects/my-project/subscriptions/vchat-alerts--pager"
    request = urllib.request.Request(f"http://{emulator.address}/{path}", method="DELETE")
    urllib.request.urlopen(request, timeout=10).close()
    applied.run("apply", *APPLY)
    assert names(emulator, "subscriptions") == ["vchat-alerts--pager"]


def test_no_secret_reaches_the_state(applied: Workspace) -> None:
    state = (applied.folder / "terraform.tfstate").read_text()
    assert "vchat-signing-keys" in state
    assert "verysecret" not in state


def changed_by(applied: Workspace, raised: str) -> dict[str, list[str]]:
    plan = applied.plan("dev", "-var=alerts={topic=true}", f"-var=secret_versions={{{raised}=2}}")
    return {
        change["address"]: change["change"]["actions"]
        for change in plan["resource_changes"]
        if change["change"]["actions"] != ["no-op"]
    }


def test_a_raised_version_writes_a_secret_anew_and_tells_the_services(applied: Workspace) -> None:
    assert changed_by(applied, "REDIS_URL") == {
        'google_secret_manager_secret_version.this["REDIS_URL"]': ["create", "delete"],
        'google_cloudfunctions2_function.this["api"]': ["update"],
        'google_cloudfunctions2_function.this["janitor"]': ["update"],
        'google_cloud_run_v2_service.relay["relay-0"]': ["update"],
    }


def test_keys_that_sign_turn_over_without_a_deployment_of_the_api(applied: Workspace) -> None:
    assert changed_by(applied, "VCHAT_SIGNING_KEYS") == {
        'google_secret_manager_secret_version.this["VCHAT_SIGNING_KEYS"]': ["create", "delete"],
    }


def test_a_new_archive_changes_the_functions_and_nothing_else(applied: Workspace) -> None:
    name = "functions-fedcba9876543210.zip"
    (applied.folder / name).write_bytes(b"another archive")
    plan = applied.plan("dev", "-var=alerts={topic=true}", f"-var=functions_archive={name}")
    changed = {
        change["address"]
        for change in plan["resource_changes"]
        if change["change"]["actions"] != ["no-op"]
    }
    assert changed == {
        "google_storage_bucket_object.functions",
        'google_cloudfunctions2_function.this["api"]',
        'google_cloudfunctions2_function.this["janitor"]',
    }


def test_another_region_is_refused_before_it_deletes_the_database(applied: Workspace) -> None:
    plan = applied.plan("dev", "-var=alerts={topic=true}", "-var=region=us-central1")
    (refusal,) = plan_check.problems(plan)
    assert "google_firestore_database.main would be deleted" in refusal


def test_a_destroy_leaves_nothing_in_pubsub_or_the_state(
    applied: Workspace, emulator: Server
) -> None:
    # With every secret that a configuration could want, and none of their values.
    placeholders = secret_values.placeholders(external_redis=True)
    applied.run("destroy", *APPLY, f"-var=integrations={INTEGRATIONS}", secrets=placeholders)
    assert names(emulator, "topics") == []
    assert names(emulator, "subscriptions") == []
    assert json.loads((applied.folder / "terraform.tfstate").read_text())["resources"] == []
