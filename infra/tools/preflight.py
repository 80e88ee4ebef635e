"""What must be true before anything is deployed, checked in the order a new person meets it."""

import json
import re
import shlex
import shutil
from dataclasses import dataclass

from infra.tools.commands import Stopped, ask, run

LEAST_TERRAFORM = (1, 11)
FIRST_SERVICES = (
    "artifactregistry.googleapis.com",
    "billingbudgets.googleapis.com",
    "cloudbilling.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "serviceusage.googleapis.com",
    "storage.googleapis.com",
)
"""What the deployment itself asks before Terraform could enable it."""


@dataclass(frozen=True, slots=True)
class Project:
    id: str
    number: str


def check(project: str, region: str, terraform: list[str]) -> Project:
    """The project to deploy to. Raises Stopped with the next step when something is missing."""
    _tools(terraform)
    _signed_in()
    found = _project(project or _configured())
    _billed(found)
    run("gcloud", "services", "enable", *FIRST_SERVICES, f"--project={found.id}")
    _there(region, found)
    return found


def _tools(terraform: list[str]) -> None:
    if shutil.which("gcloud") is None:
        raise Stopped(
            "The Google Cloud CLI (gcloud) is not installed.\n"
            "  Install it: https://cloud.google.com/sdk/docs/install"
        )
    said = ask(*terraform, "version", "-json") if shutil.which(terraform[0]) else None
    if said is None:
        raise Stopped(
            "Terraform is not installed, or does not run.\n"
            "  Install 1.11 or newer: https://developer.hashicorp.com/terraform/install"
        )
    match = re.match(r"(\d+)\.(\d+)", json.loads(said).get("terraform_version", ""))
    version = tuple(map(int, match.groups())) if match else (0, 0)
    if version < LEAST_TERRAFORM:
        raise Stopped(
            f"Terraform {'.'.join(map(str, version))} is too old: it would keep secrets in its "
            "state.\n"
            "  Install 1.11 or newer: https://developer.hashicorp.com/terraform/install"
        )


def _signed_in() -> None:
    active = "--filter=status:ACTIVE"
    if not ask("gcloud", "auth", "list", active, "--format=value(account)"):
        raise Stopped("Nobody is signed in to Google Cloud.\n  Run: gcloud auth login")
    if not ask("gcloud", "auth", "application-default", "print-access-token"):
        raise Stopped(
            "Terraform has no credentials of its own yet.\n"
            "  Run: gcloud auth application-default login"
        )


def _configured() -> str:
    project = ask("gcloud", "config", "get-value", "project")
    if not project or project == "(unset)":
        raise Stopped(
            "No project is chosen.\n"
            "  Make one for V-Chat alone:  gcloud projects create YOUR-PROJECT-ID\n"
            "  and name it:                make deploy ENV=dev PROJECT=YOUR-PROJECT-ID"
        )
    return project


def _project(project: str) -> Project:
    found = ask("gcloud", "projects", "describe", project, "--format=value(projectNumber)")
    if not found:
        raise Stopped(
            f"There is no project {project!r}, or this account may not see it.\n"
            "  Yours are listed by:  gcloud projects list\n"
            f"  Make it:              gcloud projects create {shlex.quote(project)}\n"
            "  Another account:      gcloud auth login"
        )
    return Project(project, found)


def _billed(project: Project) -> None:
    said = ask(
        "gcloud", "billing", "projects", "describe", project.id, "--format=value(billingEnabled)"
    )
    if said is not None and said.lower() != "true":
        raise Stopped(
            f"Project {project.id} has no billing account. V-Chat costs nothing while nobody is "
            "there, but Google wants to know whom to ask.\n"
            "  Yours are listed by:  gcloud billing accounts list\n"
            f"  Link one:             gcloud billing projects link {project.id} "
            "--billing-account=ACCOUNT"
        )


def _there(region: str, project: Project) -> None:
    regions = ask(
        *("gcloud", "run", "regions", "list", "--format=value(locationId)"),
        f"--project={project.id}",
    )
    if regions and region not in regions.split():
        raise Stopped(
            f"Cloud Run has no region {region!r}. Put another one into your tfvars:\n"
            f"  {', '.join(sorted(regions.split()))}"
        )
