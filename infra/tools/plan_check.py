"""Judges a Terraform plan: what must never be deployed, as sentences. `make deploy` asks it first.

Every rule is pure: it takes a plan as `terraform show -json` gives it, and answers with what is
wrong.
Shapes: https://developer.hashicorp.com/terraform/internals/json-format.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

Plan = dict[str, Any]

PUBLIC = {"allUsers", "allAuthenticatedUsers"}
PUBLIC_ON_PURPOSE = re.compile(
    r"google_cloud_run_v2_service_iam_member\.(api_public|relay_public\[\"relay-\d+\"\])"
    r"|google_storage_bucket_iam_member\.demo_public\[0\]"
)
BROAD = re.compile(r"roles/(owner|editor|viewer|.*[aA]dmin|pubsub\.editor)$")
SECRET_NAME = re.compile(r"SECRET|PASSWORD|TOKEN|API_KEY|SIGNING_KEYS|VAULT_KEY|PRIVATE")
NAME_OF_A_SECRET = re.compile(r"projects/[\w-]+/secrets/[\w-]+")
PASSWORD_IN_URL = re.compile(r"\w+://[^/@\s]*:[^/@\s]+@")
SERVICES = {
    "google_artifact_registry_": "artifactregistry.googleapis.com",
    "google_billing_budget": "billingbudgets.googleapis.com",
    "google_cloud_run_": "run.googleapis.com",
    "google_cloud_scheduler_": "cloudscheduler.googleapis.com",
    "google_cloudfunctions2_": "cloudfunctions.googleapis.com",
    "google_compute_": "compute.googleapis.com",
    "google_firestore_": "firestore.googleapis.com",
    "google_logging_": "logging.googleapis.com",
    "google_monitoring_": "monitoring.googleapis.com",
    "google_project_iam_custom_role": "iam.googleapis.com",
    "google_project_iam_member": "cloudresourcemanager.googleapis.com",
    "google_project_service": "serviceusage.googleapis.com",
    "google_pubsub_": "pubsub.googleapis.com",
    "google_redis_": "redis.googleapis.com",
    "google_secret_manager_": "secretmanager.googleapis.com",
    "google_service_account": "iam.googleapis.com",
    "google_storage_": "storage.googleapis.com",
}
IMPLIED = {
    "google_cloudfunctions2_": {"cloudbuild.googleapis.com", "run.googleapis.com"},
}


def resources(plan: Plan) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each planned resource: its address, type and values."""
    for resource in plan["planned_values"]["root_module"]["resources"]:
        yield resource["address"], resource["type"], resource["values"]


def of_type(plan: Plan, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((address, values) for address, type_, values in resources(plan) if type_ == kind)


def changes(plan: Plan) -> Iterator[tuple[str, str, list[str]]]:
    """Each resource that something is done to: its address, type and what is done."""
    for change in plan["resource_changes"]:
        actions = change["change"]["actions"]
        if actions not in (["no-op"], ["read"]):
            yield change["address"], change["type"], actions


def environments(plan: Plan) -> dict[str, tuple[dict[str, str | None], set[str]]]:
    """For each service (`api`, `janitor`, `relay-0`...): its plain settings and its secret ones.

    A value that is known only after apply is None.
    """
    found: dict[str, tuple[dict[str, str | None], set[str]]] = {}
    for change in plan["resource_changes"]:
        values, unknown = change["change"]["after"], change["change"]["after_unknown"]
        if values is None:
            continue
        if change["type"] == "google_cloudfunctions2_function":
            config, later = values["service_config"][0], unknown["service_config"][0]
            plain = {
                **dict.fromkeys(later.get("environment_variables") or {}),
                **(config.get("environment_variables") or {}),
            }
            secrets = {item["key"] for item in config.get("secret_environment_variables") or []}
            found[_service(values)] = plain, secrets
        elif change["type"] == "google_cloud_run_v2_service":
            env = values["template"][0]["containers"][0].get("env") or []
            found[_service(values)] = (
                {item["name"]: item.get("value") for item in env if not item.get("value_source")},
                {item["name"] for item in env if item.get("value_source")},
            )
    return found


def public_doors(plan: Plan) -> list[str]:
    """Nobody calls without an account but browsers: the api, the relays, the demo's files."""
    found = [
        f"{address} lets everybody in"
        for address, _, values in resources(plan)
        if values.get("member") in PUBLIC and not PUBLIC_ON_PURPOSE.fullmatch(address)
    ]
    found += [
        f"{address} asks nobody who calls (invoker_iam_disabled)"
        for address, _, values in resources(plan)
        if values.get("invoker_iam_disabled")
    ]
    found += [
        f"{address} may be made public: public_access_prevention is not enforced"
        for address, values in of_type(plan, "google_storage_bucket")
        if values.get("public_access_prevention") != "enforced" and not address.endswith(".demo[0]")
    ]
    return found


def broad_roles(plan: Plan) -> list[str]:
    """No role that holds more than its work."""
    found = [
        f"{address} gives {values['role']}, which is far more than needed"
        for address, _, values in resources(plan)
        if BROAD.search(values.get("role") or "")
    ]
    return found + [
        f"{address} has a permission with a wildcard or over IAM: {permission}"
        for address, values in of_type(plan, "google_project_iam_custom_role")
        for permission in values["permissions"]
        if "*" in permission or "IamPolicy" in permission
    ]


def shared_identities(plan: Plan) -> list[str]:
    """Each deployable runs as an account of its own, none as the project's default one."""
    accounts: dict[str, set[str]] = {}
    found = []
    for kind in ("google_cloudfunctions2_function", "google_cloud_run_v2_service"):
        for address, values in of_type(plan, kind):
            inner = (values.get("service_config") or values["template"])[0]
            account = inner.get("service_account_email") or inner.get("service_account")
            if not account or "-compute@" in account:
                found.append(f"{address} runs as the project's default account")
            else:
                accounts.setdefault(account, set()).add(_service(values).partition("-")[0])
    return found + [
        f"{' and '.join(sorted(users))} share the account {account}"
        for account, users in accounts.items()
        if len(users) > 1
    ]


def plain_secrets(plan: Plan) -> list[str]:
    """Secrets are read from Secret Manager; none stands in a setting, the plan or the state."""
    found = []
    for service, (plain, _) in environments(plan).items():
        found += [
            f"{service} has {name} in a plain setting"
            for name, value in plain.items()
            if (SECRET_NAME.search(name) and not NAME_OF_A_SECRET.fullmatch(value or ""))
            or PASSWORD_IN_URL.search(value or "")
        ]
    found += [
        f"{address} keeps its value in the state: use secret_data_wo"
        for address, values in of_type(plan, "google_secret_manager_secret_version")
        if values.get("secret_data") or values.get("secret_data_wo")
    ]
    found += [
        f"{address} makes a password that stands in the state"
        for address, values in of_type(plan, "google_redis_instance")
        if values.get("auth_enabled")
    ]
    return found


def awake_when_idle(plan: Plan) -> list[str]:
    """Nothing runs while nobody is there, and no number of people costs without end."""
    found = []
    for address, values in of_type(plan, "google_cloudfunctions2_function"):
        config = values["service_config"][0]
        found += _scaling(
            address, config.get("min_instance_count"), config.get("max_instance_count")
        )
    for address, values in of_type(plan, "google_cloud_run_v2_service"):
        template = values["template"][0]
        scaling = (template.get("scaling") or [{}])[0]
        found += _scaling(
            address, scaling.get("min_instance_count"), scaling.get("max_instance_count")
        )
        for outer in values.get("scaling") or []:
            if outer.get("min_instance_count"):
                found.append(f"{address} stays awake: scaling.min_instance_count")
        resource = (template["containers"][0].get("resources") or [{}])[0]
        if not resource.get("cpu_idle"):
            found.append(f"{address} is paid for between requests: cpu_idle is not true")
        if not {"cpu", "memory"} <= set(resource.get("limits") or {}):
            found.append(f"{address} does not say its cpu and memory")
        if not template.get("max_instance_request_concurrency"):
            found.append(f"{address} does not say how many sockets an instance takes")
        if template.get("timeout") != "3600s":
            found.append(f"{address} cuts sockets off before an hour: timeout is not 3600s")
    return found


def _scaling(address: str, least: int | None, most: int | None) -> list[str]:
    found = []
    if least:
        found.append(f"{address} stays awake: min_instance_count is {least}")
    if not most:
        found.append(f"{address} has no max_instance_count")
    return found


def missing_services(plan: Plan) -> list[str]:
    """Every API that a resource needs is enabled by the plan."""
    enabled = {values["service"] for _, values in of_type(plan, "google_project_service")}
    needed = set()
    for _, kind, _ in resources(plan):
        needed |= {service for prefix, service in SERVICES.items() if kind.startswith(prefix)}
        needed |= {s for prefix, more in IMPLIED.items() if kind.startswith(prefix) for s in more}
        if not any(kind.startswith(prefix) for prefix in SERVICES):
            needed.add(f"the API of {kind} (add it to plan_check.SERVICES)")
    return [f"{service} is needed and not enabled" for service in sorted(needed - enabled)]


def bad_schedules(plan: Plan) -> list[str]:
    """Schedules are five cron fields, and no more often than every five minutes."""
    return [
        f"{address} has the schedule {values['schedule']!r}"
        for address, values in of_type(plan, "google_cloud_scheduler_job")
        if not re.fullmatch(r"(\*/([5-9]|[1-5]\d)|[0-5]?\d)( [\d*/,-]+){4}", values["schedule"])
    ]


def lost_data(plan: Plan) -> list[str]:
    """An apply never takes away what must last."""
    return [
        f"{address} would be deleted with every account and room: its region cannot change. "
        "To move, deploy another project there and import an export (docs/operations.md)"
        for address, kind, actions in changes(plan)
        if kind == "google_firestore_database" and "delete" in actions
    ]


RULES: tuple[Callable[[Plan], list[str]], ...] = (
    public_doors,
    broad_roles,
    shared_identities,
    plain_secrets,
    awake_when_idle,
    missing_services,
    bad_schedules,
    lost_data,
)


def problems(plan: Plan) -> list[str]:
    """What all rules find."""
    return [problem for rule in RULES for problem in rule(plan)]


def _service(values: dict[str, Any]) -> str:
    return str(values["name"]).removeprefix("vchat-")


def main() -> None:
    found = problems(json.load(sys.stdin))
    for problem in found:
        print(problem, file=sys.stderr)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
