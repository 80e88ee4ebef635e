"""Mistakes planted into a copy of the configuration: each one is caught before it is applied."""

import pytest

from infra.tools import plan_check
from tests.terraform import Failed, Workspace

# file, what stands there, what a tired person might write, what the check must say of it
PLANTED = [
    (
        "janitor.tf",
        'member   = local.members["scheduler"]',
        'member   = "allUsers"',
        "google_cloud_run_v2_service_iam_member.janitor lets everybody in",
    ),
    (
        "functions.tf",
        'public_access_prevention    = "enforced"',
        'public_access_prevention    = "inherited"',
        "google_storage_bucket.source may be made public",
    ),
    ("identities.tf", '"roles/datastore.user"', '"roles/owner"', "gives roles/owner"),
    (
        "identities.tf",
        'api = ["pubsub.topics.publish"]',
        'api = ["pubsub.topics.setIamPolicy"]',
        "wildcard or over IAM: pubsub.topics.setIamPolicy",
    ),
    (
        "relay.tf",
        'local.emails["relay"]',
        'local.emails["api"]',
        "api and relay share the account vchat-api@",
    ),
    (
        "relay.tf",
        "VCHAT_RELAY_NAME     = each.key",
        'VCHAT_RELAY_NAME     = each.key\n            LIVEKIT_API_SECRET = "x"',
        "relay-0 has LIVEKIT_API_SECRET in a plain setting",
    ),
    (
        "functions.tf",
        "FIRESTORE_DATABASE   = google_firestore_database.main.name",
        'FIRESTORE_DATABASE = "x"\n        REDIS_HOST = "redis://me:password@host:6379"',
        "api has REDIS_HOST in a plain setting",
    ),
    (
        "secrets.tf",
        "secret_data_wo         = var.secrets[each.key]\n  secret_data_wo_version",
        "secret_data = jsonencode({})\n  secret_data_wo_version",
        'version.this["REDIS_URL"] keeps its value in the state',
    ),
    (
        "relay.tf",
        "min_instance_count = 0",
        "min_instance_count = 1",
        'google_cloud_run_v2_service.relay["relay-0"] stays awake',
    ),
    ("relay.tf", "cpu_idle          = true", "cpu_idle          = false", "cpu_idle is not true"),
    ("relay.tf", '"3600s"', '"300s"', "cuts sockets off before an hour"),
    (
        "functions.tf",
        "min_instance_count               = 0",
        "min_instance_count               = 2",
        "min_instance_count is 2",
    ),
    (
        "functions.tf",
        "max_instance_count               = each.value.max_instances",
        "",
        'google_cloudfunctions2_function.this["api"] has no max_instance_count',
    ),
    (
        "services.tf",
        '"secretmanager.googleapis.com",',
        "",
        "secretmanager.googleapis.com is needed and not enabled",
    ),
    ("janitor.tf", '"*/10 * * * *"', '"* * * * *"', "has the schedule '* * * * *'"),
]


@pytest.fixture(scope="module", name="found")
def _found(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the rules say of a plan with all mistakes in it."""
    workspace = Workspace(tmp_path_factory.mktemp("planted"))
    for name, right, wrong, _ in PLANTED:
        file = workspace.folder / name
        text = file.read_text()
        assert right in text, f"{name} no longer has {right!r}; plant the mistake anew"
        file.write_text(text.replace(right, wrong))
    return plan_check.problems(workspace.plan("dev"))


@pytest.mark.parametrize("sentence", [sentence for *_, sentence in PLANTED])
def test_a_planted_mistake_is_caught(found: list[str], sentence: str) -> None:
    assert any(sentence in problem for problem in found), found


def test_a_misspelt_argument_or_a_wrong_value_does_not_validate(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    workspace = Workspace(tmp_path_factory.mktemp("misspelt"))
    relay = workspace.folder / "relay.tf"
    relay.write_text(relay.read_text().replace("session_affinity", "sesion_affinity"))
    firestore = workspace.folder / "firestore.tf"
    firestore.write_text(firestore.read_text().replace("FIRESTORE_NATIVE", "FIRESTORE"))
    with pytest.raises(Failed) as failed:
        workspace.run("validate", "-no-color")
    assert "sesion_affinity" in str(failed.value)
    assert "FIRESTORE" in str(failed.value)
