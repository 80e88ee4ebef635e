"""`make deploy` as a new user meets it: every missing thing is named with what to do about it.

gcloud and terraform are scripted here; what they are asked is what is tested. Nothing in this file
shows that Google would accept it.
"""

import io
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.tools import bundle, deploy, page, secret_values
from infra.tools.commands import Stopped, ask
from local import pages
from tests.components import do_without
from vchat.page_policy import Beyond, beyond

ROOT = Path(__file__).resolve().parents[1]
_SCRIPT = """#!/bin/bash
# Writes down what it was asked, and gives the first answer whose pattern fits.
line="${0##*/} $*"
{
  printf '%s\n' "$line"
  for name in ${!TF_VAR_@}; do printf '  %s=%s\n' "$name" "${!name}"; done
} >> "${0%/*}/asked"
while IFS=$'\t' read -r pattern code answer; do
  if [[ $line =~ $pattern ]]; then printf '%b\n' "$answer"; exit "$code"; fi
done < "${0%/*}/answers"
"""
EMPTY_PLAN = json.dumps(
    {"planned_values": {"root_module": {"resources": []}}, "resource_changes": []}
)
OUTPUTS = json.dumps(
    {
        "api_url": {"value": "http://127.0.0.1:1"},
        "relay_urls": {"value": ["wss://relay.example.com"]},
        "smoke_origin": {"value": "https://chat.example.com"},
        "demo_bucket": {"value": None},
        "kept": {"value": ["Firestore database (default): accounts and rooms"]},
    }
)
WELL = [
    ("terraform version", 0, '{"terraform_version": "1.11.4"}'),
    ("auth list", 0, "you@example.com"),
    ("print-access-token", 0, "token"),
    ("config get-value project", 0, "my-project"),
    ("projects describe .*projectNumber", 0, "123456789012"),
    ("billing projects describe", 0, "True"),
    ("run regions list", 0, "europe-north1\neurope-west1"),
    ("buckets describe", 0, "there"),
    (
        "secrets list",
        0,
        "projects/1/secrets/vchat-redis-url\nprojects/1/secrets/vchat-signing-keys",
    ),
    ("secrets versions access .*redis-url", 0, "rediss://u:p@redis.example.com"),
    ("secrets versions access .*signing-keys", 0, '{"keys":[]}'),
    ("firestore databases describe", 1, ""),
    ("terraform state list", 0, ""),
    ("terraform plan .*-out=first", 0, ""),
    ("terraform plan -destroy", 0, "a plan"),
    ("terraform plan", 2, "a plan"),
    ("terraform show", 0, EMPTY_PLAN),
    ("docker images describe", 0, "sha256:" + "a" * 64),
    ("terraform output", 0, OUTPUTS),
]


def changing(*resources: tuple[str, str]) -> str:
    """A plan that does something to each of these addresses."""
    changes = [
        {
            "address": address,
            "type": address.partition(".")[0],
            "change": {"actions": [action], "after": None, "after_unknown": {}},
        }
        for address, action in resources
    ]
    return json.dumps({**json.loads(EMPTY_PLAN), "resource_changes": changes})


@dataclass
class Done:
    """How a deployment ended."""

    code: int
    stdout: str
    stderr: str


class Stage:
    """A place where gcloud and terraform answer as written."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        self.folder, self._monkeypatch, self._capfd = folder, monkeypatch, capfd
        for name in ("gcloud", "terraform"):
            (folder / name).write_text(_SCRIPT)
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        for name in secret_values.NAMES:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(deploy, "TERRAFORM", ["terraform"])

    def answer(self, *answers: tuple[str, int, str]) -> None:
        """From now on answer like this, and as in WELL where nothing of this fits."""
        lines = [f"{p}\t{code}\t{text}".replace("\n", "\\n") for p, code, text in (*answers, *WELL)]
        (self.folder / "answers").write_text("\n".join(lines) + "\n")

    def deploy(
        self,
        *answers: tuple[str, int, str],
        what: str = "apply",
        words: tuple[str, ...] = ("--yes",),
        typed: str = "",
        environment: str = "dev",
    ) -> Done:
        self.answer(*answers)
        (self.folder / "asked").write_text("")
        self._monkeypatch.setattr(sys, "argv", ["deploy", what, environment, *words])
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        code, told = 0, ""
        try:
            deploy.main()
        except SystemExit as ended:
            told = ended.code if isinstance(ended.code, str) else ""
            code = 1 if told else int(ended.code or 0)
        said = self._capfd.readouterr()
        return Done(code, said.out, said.err + told)

    @property
    def asked(self) -> str:
        return (self.folder / "asked").read_text()

    @property
    def secrets(self) -> dict[str, str]:
        """What terraform was given as secrets, always the same."""
        (found,) = set(re.findall(r"^  TF_VAR_secrets=(.*)$", self.asked, re.MULTILINE))
        return dict(json.loads(found))


@pytest.fixture(name="stage")
def _stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Stage:
    return Stage(tmp_path, monkeypatch, capfd)


@pytest.mark.parametrize(
    ("answer", "said", "remedy"),
    [
        (("terraform version", 0, '{"terraform_version": "1.5.7"}'), "too old", "Install 1.11"),
        (("auth list", 0, ""), "Nobody is signed in", "gcloud auth login"),
        (("print-access-token", 1, ""), "no credentials", "gcloud auth application-default login"),
        (("get-value project", 0, "(unset)"), "No project", "PROJECT=YOUR-PROJECT-ID"),
        (("projects describe", 1, ""), "no project 'my-project'", "gcloud projects create"),
        (("billing projects", 0, "False"), "no billing account", "gcloud billing projects link"),
        (("services enable", 1, ""), "`gcloud services enable", "its own words are above"),
        (("secrets list", 0, ""), "needs a Redis", "export REDIS_URL="),
        (("secrets versions (access|list) ?.*signing-keys", 1, ""), "cannot be read", "Accessor"),
        (("regions list", 0, "us-central1"), "has no region 'europe-west1'", "us-central1"),
        (("terraform show", 1, ""), "`terraform show", "its own words are above"),
        (("terraform plan", 1, ""), "could not make a plan", "its own words are above"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(
    stage: Stage, answer: tuple[str, int, str], said: str, remedy: str
) -> None:
    done = stage.deploy(answer)
    assert done.code == 1
    assert said in done.stderr
    assert remedy in done.stderr
    assert "Traceback" not in done.stderr
    assert "terraform apply" not in stage.asked


def test_a_redis_that_nobody_named_is_asked_for_before_anything_is_made(stage: Stage) -> None:
    done = stage.deploy(("secrets list", 0, ""), ("buckets describe", 1, ""))
    assert "needs a Redis" in done.stderr
    assert "terraform apply" not in stage.asked


def test_without_gcloud_it_says_where_to_get_it(stage: Stage) -> None:
    (stage.folder / "gcloud").unlink()
    assert "https://cloud.google.com/sdk/docs/install" in stage.deploy().stderr


def test_without_terraform_it_says_where_to_get_it(stage: Stage) -> None:
    (stage.folder / "terraform").unlink()
    assert "https://developer.hashicorp.com/terraform/install" in stage.deploy().stderr


def test_a_terraform_that_does_not_run_is_as_good_as_none(stage: Stage) -> None:
    done = stage.deploy(("terraform version", 127, ""))
    assert "https://developer.hashicorp.com/terraform/install" in done.stderr
    assert "too old" not in done.stderr


def test_regions_that_google_does_not_tell_are_left_for_terraform_to_find_out(stage: Stage) -> None:
    stage.deploy(("regions list", 1, ""))
    assert "terraform apply" in stage.asked


def test_what_stands_after_an_apply_and_cannot_be_read_is_no_success(stage: Stage) -> None:
    done = stage.deploy(("terraform output", 1, ""))
    assert done.code == 1
    assert "`terraform output -json` failed" in done.stderr


def test_a_question_that_nobody_sees_is_not_asked() -> None:
    """gcloud would wait for the answer to it for ever."""
    assert ask("/bin/sh", "-c", "echo $CLOUDSDK_CORE_DISABLE_PROMPTS") == "1"


def test_an_unknown_environment_names_the_known_ones(stage: Stage) -> None:
    done = stage.deploy(environment="staging")
    assert "Known: dev, prod" in done.stderr


def test_nothing_is_applied_without_a_yes(stage: Stage) -> None:
    done = stage.deploy(words=(), typed="y\n")
    assert done.code == 1
    assert "Apply this plan? (yes/no)" in done.stdout
    assert "terraform apply" not in stage.asked


def test_a_plan_that_breaks_a_rule_is_never_applied(stage: Stage) -> None:
    opened = json.dumps(
        {
            "planned_values": {
                "root_module": {
                    "resources": [
                        {
                            "address": "google_storage_bucket_iam_member.mine",
                            "type": "google_storage_bucket_iam_member",
                            "values": {"member": "allUsers", "role": "roles/storage.objectViewer"},
                        }
                    ]
                }
            },
            "resource_changes": [],
        }
    )
    done = stage.deploy(("terraform show", 0, opened))
    assert "google_storage_bucket_iam_member.mine lets everybody in" in done.stderr
    assert "terraform apply" not in stage.asked


def test_accounts_and_rooms_are_never_lost_to_a_deployment(stage: Stage) -> None:
    plan = changing(("google_firestore_database.main", "delete"))
    done = stage.deploy(("terraform show", 0, plan))
    assert "would be deleted with every account and room: its region cannot change" in done.stderr
    assert "terraform apply" not in stage.asked


def test_the_image_is_deployed_by_digest_and_built_only_once(stage: Stage) -> None:
    stage.deploy()
    image = (
        f"TF_VAR_relay_image=europe-west1-docker.pkg.dev/my-project/vchat/relay@sha256:{'a' * 64}"
    )
    assert image in stage.asked.partition("terraform apply")[2]
    assert "builds submit" not in stage.asked


def test_an_image_that_is_not_there_is_built_from_the_allowed_files(stage: Stage) -> None:
    done = stage.deploy(("docker images describe", 1, ""))
    assert "the registry does not show" in done.stderr
    (build,) = re.findall(r"^gcloud builds submit (.*)$", stage.asked, re.MULTILINE)
    digest = bundle.digest(bundle.contents(bundle.BUNDLES["relay"]))
    assert f"_IMAGE=europe-west1-docker.pkg.dev/my-project/vchat/relay:{digest}" in build
    assert "vchat-build@my-project.iam.gserviceaccount.com" in build
    assert "terraform apply -input=false plan" not in stage.asked


def test_the_first_run_makes_the_state_bucket_and_a_place_for_the_image(stage: Stage) -> None:
    stage.deploy(("buckets describe", 1, ""), ("terraform plan .*-out=first", 2, ""))
    lines = [line for line in stage.asked.splitlines() if line.startswith("terraform apply")]
    assert "bootstrap-my-project.tfstate" in lines[0]
    assert lines[1:] == ["terraform apply -input=false first", "terraform apply -input=false plan"]


def test_a_repeated_run_keeps_the_keys_and_changes_nothing(stage: Stage) -> None:
    done = stage.deploy(("terraform plan", 0, ""))
    assert "Nothing to change." in done.stdout
    assert "terraform apply" not in stage.asked
    assert stage.secrets["VCHAT_SIGNING_KEYS"] == '{"keys":[]}'


def test_the_first_keys_are_made_here_and_shown_to_nobody(stage: Stage) -> None:
    done = stage.deploy(
        ("versions access .*signing-keys", 1, ""), ("versions list .*signing-keys", 0, "")
    )
    key = json.loads(stage.secrets["VCHAT_SIGNING_KEYS"])["keys"][0]["d"]
    assert key not in done.stdout + done.stderr
    assert not any(key in line for line in stage.asked.splitlines() if line[0] != " ")


def test_a_secret_named_now_wins_over_the_deployed_one(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "rediss://new@redis.example.com")
    monkeypatch.setenv("NEXTAUTH_SECRET", "of the site")
    stage.deploy()
    assert stage.secrets["REDIS_URL"] == "rediss://new@redis.example.com"
    assert stage.secrets["NEXTAUTH_SECRET"] == "of the site"
    assert "LIVEKIT_API_SECRET" not in stage.secrets


def test_terraform_and_the_deployment_know_the_same_secrets() -> None:
    text = (ROOT / "infra" / "terraform" / "secret_readers.tf").read_text()
    known = re.findall(r'"([A-Z_]+)"', text.partition("known_secrets = [")[2].partition("]")[0])
    assert tuple(known) == secret_values.NAMES


KEPT = ("firestore databases describe", 0, "there")


def test_a_database_that_an_earlier_destroy_kept_is_taken_over(stage: Stage) -> None:
    stage.deploy(KEPT, environment="prod")
    assert re.search(r"terraform import .*google_firestore_database.main", stage.asked)


def test_a_kept_database_loses_its_protection_only_when_a_person_says_so(stage: Stage) -> None:
    done = stage.deploy(KEPT, typed="")
    assert done.code == 1
    assert "keep_data = false" in done.stdout
    assert "(yes/no)" in done.stdout, "asked also with --yes, as a pipeline has it"
    assert "terraform import" not in stage.asked
    stage.deploy(KEPT, typed="yes\n")
    assert "terraform import" in stage.asked


ALERT = ("google_monitoring_alert_policy.this", "create")
UNKNOWN = (("terraform apply", 1, "Error 404"), ("terraform show", 0, changing(ALERT)))


@pytest.fixture(name="waits")
def _waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long a deployment waited each time; nobody waits here."""
    waited: list[float] = []
    monkeypatch.setattr(deploy, "sleep", waited.append)
    return waited


def test_alerts_on_metrics_that_google_does_not_know_yet_are_tried_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            stage.answer(("terraform apply", 0, ""))

    monkeypatch.setattr(deploy, "sleep", wait)
    done = stage.deploy(*UNKNOWN, words=(), typed="yes\n")
    assert waited == [60, 60, 60]
    assert "Google does not know the new metrics yet" in done.stdout
    assert done.stdout.count("Apply this plan?") == 1, "it was said once, of more than this"
    assert "people could not meet in it" in done.stderr, "the deployment did not go on"
    words = [line.split()[1] for line in stage.asked.splitlines() if line.startswith("terraform")]
    applied = [at for at, word in enumerate(words) if word == "apply"]
    assert len(applied) == 4
    assert all(words[at - 2 : at] == ["plan", "show"] for at in applied), "a plan is good once"


def test_after_twelve_minutes_it_gives_up(stage: Stage, waits: list[float]) -> None:
    done = stage.deploy(*UNKNOWN)
    assert sum(waits) == 12 * 60
    assert "`terraform apply -input=false plan` failed" in done.stderr


@pytest.mark.parametrize(
    "rest",
    [
        [],
        [("google_cloud_run_v2_service.relay", "create")],
        [ALERT, ("google_pubsub_topic.alerts", "create")],
        [("google_monitoring_alert_policy.this", "update")],
    ],
)
def test_an_apply_that_failed_for_another_reason_is_not_tried_again(
    stage: Stage, waits: list[float], rest: list[tuple[str, str]]
) -> None:
    done = stage.deploy(("terraform apply", 1, "no"), ("terraform show", 0, changing(*rest)))
    assert stage.asked.count("terraform apply") == 1
    assert "`terraform apply -input=false plan` failed" in done.stderr
    assert not waits


def test_a_v_chat_in_which_nobody_can_meet_is_a_failed_deployment(stage: Stage) -> None:
    done = stage.deploy()
    assert done.code == 1
    assert "Everything is deployed, but people could not meet in it" in done.stderr


def test_a_destroy_sweeps_what_rooms_made_and_says_what_stays(stage: Stage) -> None:
    rooms = "\n".join(f"projects/my-project/topics/vchat-room-{n}" for n in range(150))
    done = stage.deploy(("pubsub topics list", 0, rooms), what="destroy")
    assert done.code == 0, done.stderr
    deleted = re.findall(r"^gcloud pubsub topics delete (.*)$", stage.asked, re.MULTILINE)
    assert sum(line.count("vchat-room-") for line in deleted) == 150
    assert "Firestore database (default)" in done.stdout
    assert stage.asked.index("terraform apply") < stage.asked.index("pubsub topics delete")


def test_a_destroy_that_breaks_off_sweeps_all_the_same_and_says_what_stays(stage: Stage) -> None:
    topic = ("pubsub topics list", 0, "projects/my-project/topics/vchat-room-1")
    done = stage.deploy(("terraform apply", 1, "subnet in use"), topic, what="destroy")
    assert done.code == 1
    assert "pubsub topics delete" in stage.asked
    assert "Left on purpose:" in done.stdout
    assert "`terraform apply -input=false plan` failed" in done.stderr


def test_a_destroy_never_takes_over_a_database_that_was_kept(stage: Stage) -> None:
    stage.deploy(("firestore databases describe", 0, "there"), what="destroy")
    assert "terraform apply" in stage.asked
    assert "terraform import" not in stage.asked


@pytest.mark.parametrize("answer", [("secrets list", 0, ""), ("secrets versions", 1, "")])
def test_a_destroy_that_broke_off_is_repeated_without_the_secrets_that_are_gone(
    stage: Stage, answer: tuple[str, int, str]
) -> None:
    done = stage.deploy(answer, what="destroy")
    assert done.code == 0, done.stderr
    assert set(stage.secrets) == set(secret_values.NAMES), "Terraform wants a value for each"


def test_a_destroy_asks_first(stage: Stage) -> None:
    stage.deploy(what="destroy", words=(), typed="no\n")
    assert "terraform apply" not in stage.asked


def test_the_page_may_go_to_its_api_and_relays_and_nowhere_else() -> None:
    text = '<head>\n<meta charset="utf-8">\n<script type="importmap">{}</script>'
    allowed = beyond(["https://api.example.com/api", "wss://a.example", "wss://b.example/relay-0"])
    made = page.configured(text, "https://api.example.com/api", allowed)
    assert '<meta name="vchat-api" content="https://api.example.com/api">' in made
    relays = "wss://a.example https://a.example wss://b.example https://b.example"
    assert f"blob: data: https://api.example.com {relays};" in made
    assert "img-src 'self' blob: data:;" in made
    assert "'sha256-RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o='" in made


def test_the_page_may_also_go_where_its_voice_and_its_models_are() -> None:
    allowed = beyond([], voice="wss://voice.example.com:7880", hub=True)
    assert allowed.connect == (
        "wss://voice.example.com:7880",
        "https://voice.example.com:7880",
        "https://*.amazonaws.com",
    )
    assert allowed.pictures == ("https://*.pximg.net",)
    assert beyond([], hub_url="http://localhost:1") == Beyond()
    here = beyond([], hub=True, hub_url="http://localhost:1")
    assert here == Beyond(("http://localhost:1",), ("http://localhost:1",))


def test_the_uploaded_page_has_the_files_of_the_local_one() -> None:
    assert {f"{path}/": folder for path, folder in pages._FOLDERS.items()} == page._AT_HOME


def test_a_page_that_wants_a_file_that_is_not_there_is_not_uploaded() -> None:
    with pytest.raises(Stopped, match="npm ci --prefix demo"):
        page.source_of("/vendor/three/nothing.js")
    with pytest.raises(Stopped, match="not there"):
        page.source_of("/demo/nothing.js")


def test_the_page_is_staged_with_all_it_loads_and_no_more(tmp_path: Path) -> None:
    if not (ROOT / "demo" / "node_modules" / "three").is_dir():
        do_without("the demo's npm packages are missing: npm ci --prefix demo")
    folder = page.stage(tmp_path / "page", "https://api.example.com", Beyond())
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"index.html", "demo/main.js", "client/index.js"} <= names
    assert "vendor/three/build/three.module.js" in names
    assert "vendor/livekit-client/livekit-client.esm.mjs" in names
    assert not {name for name in names if "node_modules" in name or name.endswith((".py", ".md"))}
