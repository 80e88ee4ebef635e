"""Terraform for the tests: a copy of infra/ that plans without credentials or a state bucket.

TERRAFORM names the command (default `terraform`). Where its google provider cannot be had, the
tests are skipped and say so; in CI, where TERRAFORM is set on purpose, they fail.
"""

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.tools.plan_check import Plan

ROOT = Path(__file__).resolve().parents[1]
COMMAND = shlex.split(os.environ.get("TERRAFORM") or "terraform")
SECRETS = {
    "REDIS_URL": "rediss://user:verysecretpassword@redis.example.com:6379",
    "VCHAT_SIGNING_KEYS": '{"keys":[{"kid":"verysecretkey"}]}',
    "LIVEKIT_API_KEY": "verysecretkey",
    "LIVEKIT_API_SECRET": "verysecret" * 4,
    "NEXTAUTH_SECRET": "verysecret" * 4,
    "VCHAT_VAULT_KEY": "dmVyeXNlY3JldHZlcnlzZWNyZXR2ZXJ5c2VjcmV0MTI=",
    "VROID_CLIENT_SECRET": "verysecret",
}
VARIABLES = {
    "project_id": "my-project",
    "project_number": "123456789012",
    "functions_archive": "functions-0123456789abcdef.zip",
}
INTEGRATIONS = (
    '{firebase={project="my-firebase"},livekit={url="wss://voice.example.com"},'
    'nextauth={cookie="session"},vroid={client_id="id",return_urls=["https://chat.example.com/"]}}'
)
PROFILES = {
    "dev": ("dev",),
    "prod": ("prod",),
    "full": (
        "prod",
        '-var=redis={mode="memorystore"}',
        '-var=network={cidr="10.8.0.0/26"}',
        "-var=domain=chat.example.com",
        '-var=alerts={emails=["you@example.com"],topic=true}',
        f"-var=integrations={INTEGRATIONS}",
        "-var=doze={hidden_s=120,idle_s=600,away_s=3600,kick_idle=true}",
        '-var=budget={billing_account="012345-6789AB-CDEF01",amount=20}',
    ),
}
_CACHE = ROOT / "build" / "terraform-plugins"
_OVERRIDE = """
terraform {{
  backend "local" {{}}
}}
provider "google" {{
  access_token = "none" # nothing is asked of Google by a first plan
  {more}
}}
"""


class Failed(Exception):
    """A terraform command did not succeed; the text is what it said."""


class Workspace:
    """A copy of infra/ in a folder of its own, initialised."""

    def __init__(self, folder: Path, provider: str = "") -> None:
        shutil.copytree(
            ROOT / "infra", folder / "infra", ignore=shutil.ignore_patterns(".terraform*", "tools")
        )
        self.folder = folder / "infra" / "terraform"
        _CACHE.mkdir(parents=True, exist_ok=True)
        (self.folder / "offline_override.tf").write_text(_OVERRIDE.format(more=provider))
        (self.folder / VARIABLES["functions_archive"]).write_bytes(b"an archive")
        _init(self.folder)

    def run(self, *words: str, secrets: dict[str, str] | None = None) -> str:
        """Run a terraform command; its output, or Failed."""
        return _run(self.folder, *words, secrets=secrets)

    def plan(self, profile: str, *words: str, secrets: dict[str, str] | None = None) -> Plan:
        """The plan of a profile in envs/, as JSON."""
        asked = (f"-var-file=envs/{profile}.tfvars", "-no-color", *words, "-out=plan")
        self.run("plan", *asked, secrets=secrets)
        shown: Any = json.loads(self.run("show", "-json", "plan").splitlines()[-1])
        return shown


def plans(workspace: Workspace) -> dict[str, Plan]:
    """The plan of each profile, as its operator would have it made."""
    without_redis = {name: value for name, value in SECRETS.items() if name != "REDIS_URL"}
    return {
        name: workspace.plan(*words, secrets=without_redis if name == "full" else None)
        for name, words in PROFILES.items()
    }


class Variables:
    """The variables alone, with one file of Terraform's own tests about them. A run of those starts
    the provider, and these need none of what it knows."""

    def __init__(self, folder: Path, file: str) -> None:
        self._folder = folder
        (folder / "tests").mkdir()
        for name in ("variables.tf", "secret_readers.tf"):
            shutil.copy(ROOT / "infra" / "terraform" / name, folder)
        name = f"tests/{file}.tftest.hcl"
        runs = (ROOT / "infra" / "terraform" / name).read_text()
        (folder / name).write_text(runs.replace('mock_provider "google" {}\n', ""))
        _init(folder)

    def run(self, *words: str) -> str:
        """Run a terraform command; its output, or Failed."""
        return _run(self._folder, *words)


def _run(folder: Path, *words: str, secrets: dict[str, str] | None = None) -> str:
    given = {**VARIABLES, "secrets": json.dumps(SECRETS if secrets is None else secrets)}
    done = subprocess.run(
        [*COMMAND, *words],
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if name[:7] != "TF_VAR_"},
            **{f"TF_VAR_{name}": value for name, value in given.items()},
            # The provider is large: fetched once, not for every workspace.
            "TF_PLUGIN_CACHE_DIR": str(_CACHE),
            "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE": "1",
            "TF_IN_AUTOMATION": "1",
            "GOGC": "400",  # a fifth of it was tidying up a schema of many megabytes
            "NO_COLOR": "1",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise Failed(done.stdout + done.stderr)
    return done.stdout


def _init(folder: Path) -> None:
    if shutil.which(COMMAND[0]) is None:
        _missing("terraform is not installed: https://developer.hashicorp.com/terraform/install")
    try:
        _run(folder, "init", "-no-color", "-input=false")
    except Failed as failed:
        said = " ".join(str(failed).partition("Error:")[2].split())
        if not said.startswith(("Failed to query", "Failed to install", "Failed to resolve")):
            raise  # a broken configuration is no missing provider
        _missing(f"`{shlex.join(COMMAND)} init` could not get the google provider: {said[:200]}")


def _missing(reason: str) -> None:
    if os.environ.get("CI") == "true" and os.environ.get("TERRAFORM"):
        pytest.fail(reason)
    pytest.skip(reason)
