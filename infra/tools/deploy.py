"""Brings V-Chat into somebody's own project, and out of it again.

    python -m infra.tools.deploy apply dev --project my-project
    python -m infra.tools.deploy destroy dev --project my-project

Every step looks first whether it is already done, so that a run that broke off is simply repeated.
TERRAFORM names the command to use.
"""

import argparse
import json
import os
import re
import shlex
import sys
from dataclasses import dataclass
from time import sleep
from typing import Any

from infra.tools import bundle, page, plan_check, preflight, secret_values
from infra.tools.commands import Stopped, answer_of, ask, code_of, failed, run
from vchat.page_policy import beyond

INFRA = bundle.ROOT / "infra"
BUILD = bundle.ROOT / "build"
TERRAFORM = shlex.split(os.environ.get("TERRAFORM") or "terraform")
APPLY = ("apply", "-input=false", "plan")
FIRST = (
    "google_artifact_registry_repository_iam_member.build",
    "google_project_iam_member.build",
    "google_storage_bucket.source",
)
"""What a build of the relay needs; everything else waits for its image."""
PATIENCE_MIN = 12
"""Google says that a new metric is known after ten."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One environment in one project."""

    environment: str
    project: preflight.Project
    region: str
    memorystore: bool
    keep_data: bool
    yes: bool

    @property
    def state_bucket(self) -> str:
        return f"{self.project.id}-vchat-state"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("apply", "plan", "destroy"))
    parser.add_argument("environment", help="a file in infra/terraform/envs, such as dev")
    parser.add_argument("--project", default="", help="default: gcloud's configured project")
    parser.add_argument("--yes", action="store_true", help="apply without asking")
    asked = parser.parse_args()
    try:
        deployment = _deployment(asked.environment, asked.project, yes=asked.yes)
        {"apply": apply, "plan": plan, "destroy": destroy}[asked.what](deployment)
    except Stopped as stopped:
        sys.exit(f"\n{stopped}")
    except KeyboardInterrupt:
        sys.exit("\nStopped. What was begun is continued by the same command.")


def apply(it: Deployment) -> None:
    """Build, push, apply, upload and try it out."""
    variables = _prepare(it, _secrets(it))
    _adopt(it, variables)
    _first(it, variables)
    variables["TF_VAR_relay_image"] = _image(it)
    if _planned(it, variables):
        _confirm(it, "Apply this plan?")
        _apply(it, variables)
    else:
        print("Nothing to change.")
    made = _outputs(variables)
    if made.get("demo_bucket"):
        _upload(made)
    _smoke(made)
    for name in ("api_url", "demo_url", "dns"):
        if made.get(name):
            print(f"{name:9} {made[name]}")


def plan(it: Deployment) -> None:
    """Show what an apply would do, with the image that runs now."""
    variables = _prepare(it, _secrets(it))
    running = _outputs(variables).get("relay_image")
    if running:
        variables["TF_VAR_relay_image"] = running
    _planned(it, variables)


def destroy(it: Deployment) -> None:
    """Take everything out again but what is kept on purpose."""
    # Some secrets may be gone with a destroy that broke off.
    placeholders = secret_values.placeholders(external_redis=not it.memorystore)
    variables = _prepare(it, placeholders)
    kept = _outputs(variables).get("kept") or []
    words = ("plan", "-destroy", "-input=false", "-out=plan", _profile(it))
    run(*TERRAFORM, *words, env=variables, cwd=INFRA / "terraform")
    _confirm(it, "Destroy all of this?")
    broke_off = code_of(*TERRAFORM, *APPLY, env=variables, cwd=INFRA / "terraform")
    _sweep(it)
    print("Left on purpose:")
    for what in [*kept, "buckets named gcf-v2-..., which Google made for builds of functions"]:
        print(f"  {what}")
    if broke_off:
        raise failed(*TERRAFORM, *APPLY)


def _deployment(environment: str, project: str, *, yes: bool) -> Deployment:
    file = INFRA / "terraform" / "envs" / f"{environment}.tfvars"
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in file.parent.glob("*.tfvars")))
        raise Stopped(
            f"There is no environment {environment!r}. Known: {known}. It would be {file}"
        )
    text = re.sub(r"#.*", "", file.read_text())
    region = re.search(r'^region\s*=\s*"([^"]+)"', text, re.MULTILINE)
    if region is None:
        raise Stopped(f'{file} does not name a region, as in: region = "europe-west1"')
    found = preflight.check(project, region[1], TERRAFORM)
    memorystore = re.search(r'mode\s*=\s*"memorystore"', text) is not None
    keep_data = re.search(r"^keep_data\s*=\s*false", text, re.MULTILINE) is None
    return Deployment(environment, found, region[1], memorystore, keep_data, yes)


def _profile(it: Deployment) -> str:
    return f"-var-file=envs/{it.environment}.tfvars"


def _secrets(it: Deployment) -> dict[str, str]:
    return secret_values.gathered(it.project.id, external_redis=not it.memorystore)


def _prepare(it: Deployment, secrets: dict[str, str]) -> dict[str, str]:
    """A state to work on, and the variables of every terraform command."""
    if ask("gcloud", "storage", "buckets", "describe", f"gs://{it.state_bucket}") is None:
        print(f"First the bucket for Terraform's state, {it.state_bucket}:")
        folder = INFRA / "bootstrap"
        BUILD.mkdir(exist_ok=True)
        run(*TERRAFORM, "init", "-input=false", cwd=folder)
        words = (f"-var=project_id={it.project.id}", f"-var=region={it.region}")
        state = f"-state={BUILD / f'bootstrap-{it.project.id}.tfstate'}"
        approve = ("-auto-approve",) if it.yes else ()
        run(*TERRAFORM, "apply", state, *words, *approve, cwd=folder)
    backend = f"-backend-config=bucket={it.state_bucket}"
    run(*TERRAFORM, "init", "-input=false", "-reconfigure", backend, cwd=INFRA / "terraform")
    archive = bundle.archive(bundle.contents(bundle.BUNDLES["functions"]), BUILD)
    return {
        "TF_VAR_project_id": it.project.id,
        "TF_VAR_project_number": it.project.number,
        "TF_VAR_functions_archive": str(archive),
        "TF_VAR_secrets": json.dumps(secrets),
    }


def _adopt(it: Deployment, variables: dict[str, str]) -> None:
    """Take over a database that an earlier destroy kept. Only an apply may: a destroy that took it
    over could delete what another environment kept."""
    address = "google_firestore_database.main"
    known = ask(*TERRAFORM, "state", "list", address, env=variables, cwd=INFRA / "terraform")
    words = ("firestore", "databases", "describe", "--database=(default)")
    if not known and ask("gcloud", *words, f"--project={it.project.id}") is not None:
        print("The project has a Firestore database already; it is taken over as it is.")
        if not it.keep_data:
            print(
                f"{it.environment}.tfvars has keep_data = false: it loses its protection, and the "
                "next destroy deletes it\nwith all that is in it."
            )
            _ask("Take it over nevertheless?")
        found = f"projects/{it.project.id}/databases/(default)"
        import_ = ("import", "-input=false", _profile(it), address, found)
        run(*TERRAFORM, *import_, env=variables, cwd=INFRA / "terraform")


def _first(it: Deployment, variables: dict[str, str]) -> None:
    """The registry and what a build needs, if they are not there yet."""
    targets = tuple(f"-target={address}" for address in FIRST)
    words = ("plan", "-input=false", "-detailed-exitcode", "-out=first", _profile(it), *targets)
    code = code_of(*TERRAFORM, *words, env=variables, cwd=INFRA / "terraform")
    if code == 2:
        _confirm(it, "Make this first, so that the relay's image has a place?")
        run(*TERRAFORM, "apply", "-input=false", "first", env=variables, cwd=INFRA / "terraform")
    elif code:
        raise Stopped("Terraform could not make a plan; its own words are above.")


def _image(it: Deployment) -> str:
    """The relay's image by digest, built unless the registry has it."""
    files = bundle.contents(bundle.BUNDLES["relay"])
    name = f"{it.region}-docker.pkg.dev/{it.project.id}/vchat/relay"
    tagged = f"{name}:{bundle.digest(files)}"
    describe = ("artifacts", "docker", "images", "describe", tagged)
    wanted = "--format=value(image_summary.digest)"
    digest = ask("gcloud", *describe, wanted)
    if not digest:
        context = bundle.stage(files, BUILD / "relay")
        account = f"vchat-build@{it.project.id}.iam.gserviceaccount.com"
        run(
            *("gcloud", "builds", "submit", str(context)),
            f"--config={context / 'cloudbuild.yaml'}",
            f"--substitutions=_IMAGE={tagged}",
            f"--service-account=projects/{it.project.id}/serviceAccounts/{account}",
            f"--gcs-source-staging-dir=gs://{it.project.id}-vchat-source/relay",
            f"--region={it.region}",
            f"--project={it.project.id}",
        )
        digest = ask("gcloud", *describe, wanted)
    if not digest:
        raise Stopped(f"The build ended, but the registry does not show {tagged}.")
    return f"{name}@{digest}"


def _planned(it: Deployment, variables: dict[str, str]) -> plan_check.Plan | None:
    """Make, show and judge a plan. None when it changes nothing."""
    words = ("plan", "-input=false", "-detailed-exitcode", "-out=plan", _profile(it))
    code = code_of(*TERRAFORM, *words, env=variables, cwd=INFRA / "terraform")
    if code not in (0, 2):
        raise Stopped("Terraform could not make a plan; its own words are above.")
    shown = answer_of(*TERRAFORM, "show", "-json", "plan", env=variables, cwd=INFRA / "terraform")
    made: plan_check.Plan = json.loads(shown)
    found = plan_check.problems(made)
    if found:
        raise Stopped("This plan must not be applied:\n" + "\n".join(f"  {one}" for one in found))
    return made if code == 2 else None


def _apply(it: Deployment, variables: dict[str, str]) -> None:
    """Apply the plan, with patience for alerts on metrics that the same apply made."""
    for _ in range(PATIENCE_MIN):
        if not code_of(*TERRAFORM, *APPLY, env=variables, cwd=INFRA / "terraform"):
            return
        if not _only_alerts(_planned(it, variables)):
            raise failed(*TERRAFORM, *APPLY)
        print("Google does not know the new metrics yet; their alerts are tried again in a minute.")
        sleep(60)
    run(*TERRAFORM, *APPLY, env=variables, cwd=INFRA / "terraform")


def _only_alerts(plan: plan_check.Plan | None) -> bool:
    """Whether nothing is left to do but to make alerts."""
    left = list(plan_check.changes(plan)) if plan else []
    return bool(left) and all(
        kind == "google_monitoring_alert_policy" and actions == ["create"]
        for _, kind, actions in left
    )


def _confirm(it: Deployment, question: str) -> None:
    if not it.yes:
        _ask(question)


def _ask(question: str) -> None:
    """Go on only after a person's yes."""
    try:
        answer = input(f"\n{question} (yes/no) ")
    except EOFError:
        answer = ""
    if answer.strip().lower() != "yes":
        raise Stopped("Nothing was changed by this step. To go on, run the same command again.")


def _outputs(variables: dict[str, str]) -> dict[str, Any]:
    said = answer_of(*TERRAFORM, "output", "-json", env=variables, cwd=INFRA / "terraform")
    return {name: output["value"] for name, output in json.loads(said).items()}


def _upload(made: dict[str, Any]) -> None:
    urls = [made["api_url"], *made["relay_urls"]]
    allowed = beyond(urls, voice=made.get("voice_url"), hub=bool(made.get("vroid_hub")))
    folder = page.stage(BUILD / "page", made["api_url"], allowed)
    sync = ("storage", "rsync", "--recursive", "--delete-unmatched-destination-objects")
    cache = "--cache-control=no-cache"
    run("gcloud", *sync, cache, str(folder), f"gs://{made['demo_bucket']}")


def _smoke(made: dict[str, Any]) -> None:
    words = ("-m", "infra.tools.smoke", made["api_url"], "--origin", made["smoke_origin"])
    if code_of(sys.executable, *words, cwd=bundle.ROOT):
        hint = f"\n  Is this record there?  {made['dns']}" if made.get("dns") else ""
        raise Stopped(
            "Everything is deployed, but people could not meet in it; the reason is above.\n"
            "  Its logs:   gcloud logging read 'severity>=WARNING' --limit=20\n"
            "  Try again:  the same command" + hint
        )


def _sweep(it: Deployment) -> None:
    """Delete what the rooms made while they ran; Terraform never knew of it."""
    for kind in ("subscriptions", "topics"):
        listing = ("list", "--filter=name~/vchat-room-", "--format=value(name)")
        found = ask("gcloud", "pubsub", kind, *listing, f"--project={it.project.id}") or ""
        names = found.split()
        for start in range(0, len(names), 100):
            run("gcloud", "pubsub", kind, "delete", *names[start : start + 100], "--quiet")
        print(f"{len(names)} {kind} of rooms deleted.")


if __name__ == "__main__":
    main()
