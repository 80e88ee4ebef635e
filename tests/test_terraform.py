"""The user's own project as a plan: what it makes, what it costs idle, who may do what."""

import dataclasses
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from adapters.pubsub_janitor import Sweep
from functions.settings import read_settings as read_functions
from infra.tools import plan_check
from infra.tools.plan_check import Plan
from relay.settings import read_settings as read_relay
from tests.terraform import PROFILES, ROOT, SECRETS, Variables, Workspace
from vchat.config import EMULATORS, ConfigError
from vchat.idleness import Idleness

pytestmark = pytest.mark.xdist_group("terraform")

PRICES = json.loads((ROOT / "infra" / "prices.json").read_text())
GOLDEN = Path(__file__).parent / "golden"
# What only one machine needs, or a relay that something scrapes: never in this deployment.
LOCAL_SETTINGS = {
    *EMULATORS,
    "HOST",
    "PORT",
    "VCHAT_DATA",
    "VCHAT_METRICS_TOKEN",
    "VROID_HUB_URL",
}


@pytest.fixture(params=PROFILES, name="profile")
def _profile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(name="plan")
def _plan(plans: dict[str, Plan], profile: str) -> Plan:
    return plans[profile]


def test_the_configuration_is_formatted_and_valid(workspace: Workspace) -> None:
    workspace.run("fmt", "-check", "-diff", "-recursive", str(ROOT / "infra"))
    workspace.run("validate", "-no-color")


@pytest.mark.parametrize("file", ["defaults", "variants"])
def test_a_variant_holds_as_terraform_tests_it(workspace: Workspace, file: str) -> None:
    assert "0 failed" in workspace.run("test", "-no-color", f"-filter=tests/{file}.tftest.hcl")


def test_what_cannot_work_is_refused_as_terraform_tests_it(tmp_path: Path) -> None:
    said = Variables(tmp_path, "refusals").run("test", "-no-color")
    runs = (ROOT / "infra" / "terraform" / "tests" / "refusals.tftest.hcl").read_text()
    assert f"{runs.count('expect_failures')} passed, 0 failed" in said


@pytest.mark.parametrize("rule", plan_check.RULES, ids=lambda rule: rule.__name__)
def test_a_profile_breaks_no_rule(plan: Plan, rule: Callable[[Plan], list[str]]) -> None:
    assert rule(plan) == []


def test_a_profile_makes_exactly_what_is_listed(plan: Plan, profile: str) -> None:
    """After a wanted change: UPDATE_GOLDEN=1 pytest tests/test_terraform.py, then read the diff."""
    file = GOLDEN / f"terraform-{profile}.txt"
    made = "".join(sorted(f"{address}\n" for address, _, _ in plan_check.resources(plan)))
    if os.environ.get("UPDATE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(made)
    assert made == file.read_text()


class Recorded(Mapping[str, str]):
    """An environment that remembers which names were asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values_, self.asked = values, set[str]()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.values_[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


def deployed(plan: Plan, service: str) -> Recorded:
    """What a service will find in its environment, with made-up secrets."""
    plain, secret = plan_check.environments(plan)[service]
    values = {name: value or "redis://10.0.0.3:6379/0" for name, value in plain.items()}
    return Recorded({**values, **{name: SECRETS[name] for name in secret}})


def test_the_api_starts_with_what_the_plan_gives_it_and_reads_all_of_it(
    plan: Plan, plans: dict[str, Plan]
) -> None:
    environment = deployed(plan, "api")
    settings = read_functions(environment)
    assert settings.production
    assert settings.keys == "projects/my-project/secrets/vchat-signing-keys"
    assert set(environment) <= environment.asked
    optional = set(deployed(plans["full"], "api")) - set(deployed(plans["prod"], "api"))
    assert set(environment) >= environment.asked - LOCAL_SETTINGS - optional


def test_everything_the_api_can_be_told_can_be_told_to_terraform(plans: dict[str, Plan]) -> None:
    environment = deployed(plans["full"], "api")
    settings = read_functions(environment)
    assert settings.providers.vroid is not None
    assert {urlsplit(url).path for url in settings.providers.vroid.return_urls} == {
        "/",  # as configured
        "/index.html",  # the demo's
    }
    assert settings.providers.livekit is not None
    assert set(environment) >= environment.asked - LOCAL_SETTINGS


def test_relays_start_with_what_the_plan_gives_them_and_are_told_nothing_else(plan: Plan) -> None:
    relays = [name for name in plan_check.environments(plan) if name.startswith("relay-")]
    assert relays
    for relay in relays:
        environment = deployed(plan, relay)
        price = read_relay(environment).usd_per_gib
        assert price == PRICES["google"]["egress_gib"]["price"][0][1]
        assert set(environment) <= environment.asked


def test_everything_a_relay_can_be_told_can_be_told_to_terraform(plans: dict[str, Plan]) -> None:
    environment = deployed(plans["full"], "relay-0")
    assert read_relay(environment).idleness == Idleness(120, 600, 3600, kick=True)
    assert set(environment) >= environment.asked - LOCAL_SETTINGS


@pytest.mark.parametrize("name", ["VCHAT_ISSUER", "VCHAT_ORIGINS", "REDIS_URL"])
def test_a_setting_that_terraform_forgot_would_stop_the_start(
    plans: dict[str, Plan], name: str
) -> None:
    for service, read in (("api", read_functions), ("relay-0", read_relay)):
        values = dict(deployed(plans["prod"], service))
        del values[name]
        with pytest.raises(ConfigError, match=name):
            read(Recorded(values))


def test_no_secret_is_in_a_plan(plan: Plan) -> None:
    text = json.dumps(plan)
    assert "verysecretpassword" not in text
    assert "verysecretkey" not in text


def permissions(plan: Plan, who: str) -> set[str]:
    roles = dict(plan_check.of_type(plan, "google_project_iam_custom_role"))
    return set(roles[f'google_project_iam_custom_role.pubsub["{who}"]']["permissions"])


def test_every_permission_that_an_adapter_names_is_granted_to_who_uses_it(plan: Plan) -> None:
    named: dict[str, set[str]] = {"janitor": set(), "relay": set()}
    for adapter in (ROOT / "adapters").glob("*.py"):
        found = re.findall(r"pubsub\.(?:topics|subscriptions)\.\w+", adapter.read_text())
        named["janitor" if "janitor" in adapter.name else "relay"] |= set(found)
    assert all(named.values()), "no adapter says which permissions it needs"
    for who, needed in named.items():
        assert needed <= permissions(plan, who)
    assert permissions(plan, "api") == {"pubsub.topics.publish"}


@pytest.mark.parametrize(
    ("who", "never"),
    [
        ("api", {"pubsub.topics.create", "pubsub.subscriptions.consume", "pubsub.topics.delete"}),
        ("janitor", {"pubsub.topics.publish", "pubsub.subscriptions.consume"}),
        ("relay", {"pubsub.topics.list", "pubsub.topics.delete", "pubsub.subscriptions.list"}),
    ],
)
def test_nobody_may_do_more_in_pubsub_than_its_work(plan: Plan, who: str, never: set[str]) -> None:
    assert permissions(plan, who).isdisjoint(never)


def test_only_the_api_reads_the_signing_keys_and_no_relay_reads_firestore(plan: Plan) -> None:
    readers = {
        address
        for address, _ in plan_check.of_type(plan, "google_secret_manager_secret_iam_member")
        if "SIGNING_KEYS" in address
    }
    assert readers == {'google_secret_manager_secret_iam_member.reader["api/VCHAT_SIGNING_KEYS"]'}
    datastore = {
        values["member"].partition("@")[0]
        for _, values in plan_check.of_type(plan, "google_project_iam_member")
        if "datastore" in values["role"]
    }
    assert datastore == {"serviceAccount:vchat-api", "serviceAccount:vchat-janitor"}


def test_firestore_gets_every_index_and_expiry_of_the_projects_list(plan: Plan) -> None:
    listed = json.loads((ROOT / "infra" / "firestore.json").read_text())
    assert len(list(plan_check.of_type(plan, "google_firestore_index"))) == len(listed["indexes"])
    assert len(list(plan_check.of_type(plan, "google_firestore_field"))) == len(listed["ttl"])


def test_every_alert_has_its_heading_in_the_runbook_and_no_heading_is_left_over(
    plans: dict[str, Plan],
) -> None:
    alerts = {
        values["display_name"]
        for plan in plans.values()
        for _, values in plan_check.of_type(plan, "google_monitoring_alert_policy")
    }
    runbook = (ROOT / "docs" / "operations.md").read_text()
    chapter = runbook.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    headings = set(re.findall(r"^### (.+)$", chapter, re.MULTILINE))
    assert headings == alerts | {"The budget"}


def test_metrics_of_the_log_read_what_relays_and_janitor_write(plan: Plan) -> None:
    """What is listed is held to a real relay's lines in test_metrics.py."""
    page = (ROOT / "docs" / "metrics.md").read_text()
    lines = page.partition("\n## The lines\n")[2].partition("\n## ")[0]
    known = {"message", *re.findall(r"`(\w+)`", lines)}
    known |= {f"bus.{field.name}" for field in dataclasses.fields(Sweep)}
    metrics = list(plan_check.of_type(plan, "google_logging_metric"))
    read = set(re.findall(r"jsonPayload\.([\w.]+)", json.dumps([values for _, values in metrics])))
    assert len(read) > 10
    assert read <= known


def test_charts_and_alerts_name_metrics_of_the_log_that_are_made(plan: Plan) -> None:
    made = {values["name"] for _, values in plan_check.of_type(plan, "google_logging_metric")}
    shown = json.dumps(
        [
            values
            for kind in ("google_monitoring_dashboard", "google_monitoring_alert_policy")
            for _, values in plan_check.of_type(plan, kind)
        ]
    )
    named = set(re.findall(r"logging\.googleapis\.com/user/([\w/]+)", shown))
    assert named <= made
    # Whatever is made is for somebody to see; subscriptions are seen by a metric of Google's.
    assert made - named <= {"vchat/redis_failed", "vchat/subscriptions"}


def alerts(plan: Plan) -> dict[str, dict[str, Any]]:
    """What each alert watches, by the name that a person reads."""
    return {
        values["display_name"]: values["conditions"][0]["condition_threshold"][0]
        for _, values in plan_check.of_type(plan, "google_monitoring_alert_policy")
    }


def test_an_alert_that_nobody_would_hear_is_not_made(plans: dict[str, Plan]) -> None:
    """Each is charged by the month; what they cost where somebody hears them is in docs/cost.md."""
    assert alerts(plans["dev"]) == alerts(plans["prod"]) == {}
    without_memorystore = len(alerts(plans["full"])) - 1
    assert f"{without_memorystore} alerts" in (ROOT / "docs" / "cost.md").read_text()


def test_people_whom_no_instance_could_take_are_counted_from_the_log(
    plans: dict[str, Plan],
) -> None:
    """Cloud Run's own count of requests leaves out those that reached no container."""
    metrics = {
        values["name"]: values["filter"]
        for _, values in plan_check.of_type(plans["full"], "google_logging_metric")
    }
    for part in (
        'resource.labels.service_name=~"^vchat-relay-"',
        'log_id("run.googleapis.com/requests")',
        "httpRequest.status=429",
        'textPayload:"no available instance"',
    ):
        assert part in metrics["vchat/no_instance"]
    watched = alerts(plans["full"])
    assert "vchat/no_instance" in watched["A relay turns people away"]["filter"]
    assert not any("429" in alert["filter"] for alert in watched.values())


def test_the_number_of_topics_is_no_guess_from_buckets(plans: dict[str, Plan]) -> None:
    """A bucket ends half as high again as it begins; the mean is kept beside the buckets, exact."""
    watched = alerts(plans["full"])["Pub/Sub is running out of topics"]["aggregations"][0]
    ((_, values),) = plan_check.of_type(plans["full"], "google_monitoring_dashboard")
    widgets = [
        tile["widget"] for tile in json.loads(values["dashboard_json"])["mosaicLayout"]["tiles"]
    ]
    (chart,) = [widget["xyChart"] for widget in widgets if widget["title"].startswith("Topics ")]
    shown = chart["dataSets"][0]["timeSeriesQuery"]["timeSeriesFilter"]["aggregation"]
    exact = ("ALIGN_DELTA", "REDUCE_MEAN")
    assert (watched["per_series_aligner"], watched["cross_series_reducer"]) == exact
    assert (shown["perSeriesAligner"], shown["crossSeriesReducer"]) == exact


def seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


def test_a_count_fires_at_once_and_looks_back_over_all_the_runs_it_counts(
    plans: dict[str, Plan],
) -> None:
    """A count has no value while nothing happens, so it can never stay above a threshold."""
    ((_, job),) = plan_check.of_type(plans["full"], "google_cloud_scheduler_job")
    (minutes,) = re.findall(r"^\*/(\d+) ", job["schedule"])
    counts = {
        name: alert
        for name, alert in alerts(plans["full"]).items()
        if alert["aggregations"][0]["per_series_aligner"] == "ALIGN_DELTA"
    }
    assert {seconds(alert["duration"]) for alert in counts.values()} == {0}
    scheduled = [alert for alert in counts.values() if "cloud_scheduler_job" in alert["filter"]]
    assert scheduled
    for alert in scheduled:
        runs = alert["threshold_value"] + 1
        period = seconds(alert["aggregations"][0]["alignment_period"])
        assert period > runs * int(minutes) * 60


def test_the_janitor_may_fail_once_and_not_twice(plans: dict[str, Plan]) -> None:
    assert alerts(plans["full"])["The janitor fails"]["threshold_value"] == 1


def test_the_dashboard_is_json_whose_charts_do_not_overlap(plan: Plan) -> None:
    ((_, values),) = plan_check.of_type(plan, "google_monitoring_dashboard")
    tiles = json.loads(values["dashboard_json"])["mosaicLayout"]["tiles"]
    assert ": 0" not in values["dashboard_json"].replace('":0', '": 0'), "Google drops zeros"
    assert "[]" not in values["dashboard_json"], "Google drops empty lists"
    assert len({(tile.get("xPos", 0), tile.get("yPos", 0)) for tile in tiles}) == len(tiles)


def test_the_state_buckets_configuration_is_valid_and_cannot_be_destroyed(
    workspace: Workspace,
) -> None:
    folder = f"-chdir={workspace.folder.parent / 'bootstrap'}"
    workspace.run(folder, "init", "-no-color", "-input=false")
    workspace.run(folder, "validate", "-no-color")
    text = (workspace.folder.parent / "bootstrap" / "main.tf").read_text()
    assert "prevent_destroy = true" in text
