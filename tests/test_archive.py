"""What is sent to Google: exactly what is meant, the same bytes each time, and it starts alone."""

import ast
import importlib.metadata
import json
import os
import re
import shutil
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from infra.tools import bundle
from infra.tools.bundle import BUNDLES, ROOT
from infra.tools.coldstart import distributions
from infra.tools.started import started
from vchat.keys import dump_ring, new_ring

# For one process on one machine: never imported where REDIS_URL and a project are set.
ONE_PROCESS = {"fakeredis", "aiosqlite"}


@pytest.fixture(name="source")
def _source(tmp_path: Path) -> Path:
    """A copy of what bundles are made of, to be changed."""
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns(".*", "node_modules", "build")
    for folder in ("adapters", "functions", "infra/images", "relay", "vchat"):
        shutil.copytree(ROOT / folder, source / folder, ignore=ignored)
    shutil.copy(ROOT / "requirements.txt", source)
    return source


def made(source: Path, into: Path) -> Path:
    return bundle.archive(bundle.contents(BUNDLES["functions"], source), into)


def test_the_same_source_makes_the_same_bytes(source: Path, tmp_path: Path) -> None:
    first = made(source, tmp_path / "first")
    for path in source.rglob("*"):
        os.utime(path, (0, 0))
    second = made(source, tmp_path / "second")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("change", ["content", "name", "requirements"])
def test_every_change_gives_the_archive_another_name(
    source: Path, tmp_path: Path, change: str
) -> None:
    before = made(source, tmp_path)
    if change == "content":
        with (source / "vchat" / "limits.py").open("a") as file:
            file.write("\n")
    elif change == "name":
        (source / "vchat" / "limits.py").rename(source / "vchat" / "bounds.py")
    else:
        text = (source / "requirements.txt").read_text()
        (source / "requirements.txt").write_text(text.replace("starlette==1", "starlette==2"))
    assert made(source, tmp_path).name != before.name


def test_what_is_not_listed_stays_at_home(source: Path, tmp_path: Path) -> None:
    before = made(source, tmp_path / "before").read_bytes()
    (source / ".env").write_text("REDIS_URL=secret")
    (source / "functions" / ".env").write_text("REDIS_URL=secret")
    (source / "functions" / "key.pem").write_text("secret")
    (source / "vchat" / "__pycache__").mkdir(exist_ok=True)
    (source / "vchat" / "__pycache__" / "ids.pyc").write_bytes(b"compiled")
    (source / "tests").mkdir()
    (source / "tests" / "test_it.py").write_text("")
    (source / "secret.json").write_text("{}")
    (source / "vchat" / "linked.json").symlink_to(source / "secret.json")
    assert made(source, tmp_path / "after").read_bytes() == before


def test_a_bundle_has_only_its_own_deployable() -> None:
    functions = bundle.contents(BUNDLES["functions"])
    relay = bundle.contents(BUNDLES["relay"])
    assert "main.py" in functions
    assert "Dockerfile" in relay
    assert {name.partition("/")[0] for name in functions} == {
        "adapters", "functions", "main.py", "requirements.txt", "vchat",
    }  # fmt: skip
    assert {name.partition("/")[0] for name in relay} == {
        "Dockerfile", "adapters", "cloudbuild.yaml", "relay", "requirements.txt", "vchat",
    }  # fmt: skip


def test_what_docker_sees_of_the_repository_is_what_a_bundle_takes() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and line[0] != "#"]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule[0] == "!"}
    assert allowed == {*BUNDLES["relay"].folders, "requirements.txt"}


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reached(entry: Path) -> set[str]:
    """The foreign top-level packages that an entry point can come to import."""
    todo, seen, foreign = [entry], set[Path](), set[str]()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in imports(path):
            top = name.partition(".")[0]
            here = ROOT / Path(*name.split("."))
            if (ROOT / top).is_dir() and top in {"adapters", "functions", "relay", "vchat"}:
                files = [here.with_suffix(".py"), here / "__init__.py"]
                todo += [file for file in files if file.is_file()]
            elif top not in sys.stdlib_module_names:
                foreign.add(top)
    return foreign


def targets() -> set[str]:
    """The functions of functions/main.py that can be deployed."""
    tree = ast.parse((ROOT / "functions" / "main.py").read_text())
    return {node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef)}


def test_every_entry_point_that_terraform_deploys_is_in_the_archive() -> None:
    text = (ROOT / "infra" / "terraform" / "functions.tf").read_text()
    deployed = re.findall(r"^    (\w+) = \{$", text.partition("functions = {")[2], re.MULTILINE)
    assert set(deployed) == {"api", "janitor"}
    assert set(deployed) <= targets()


def _normal(distribution: str) -> str:
    return distribution.lower().replace("_", "-")


@pytest.mark.parametrize(
    ("name", "entry"), [("functions", "functions/main.py"), ("relay", "relay/__main__.py")]
)
def test_a_bundle_installs_whatever_its_code_imports(name: str, entry: str) -> None:
    installed = {_normal(each) for each in distributions(BUNDLES[name].requirements)}
    owners = importlib.metadata.packages_distributions()
    missing = {
        package
        for package in reached(ROOT / entry) - ONE_PROCESS
        if not {_normal(owner) for owner in owners.get(package, [package])} & installed
    }
    assert missing == set()


@pytest.fixture(name="credentials")
def _credentials(tmp_path: Path) -> dict[str, str]:
    """A service account of our own making, as the platform would give one: it opens nothing."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = tmp_path / "credentials.json"
    account = {
        "type": "service_account",
        "project_id": "my-project",
        "private_key": pem.decode(),
        "client_email": "vchat-api@my-project.iam.gserviceaccount.com",
        "token_uri": "https://127.0.0.1:1/token",
    }
    file.write_text(json.dumps(account))
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(file), "PYTHONDONTWRITEBYTECODE": "1"}


def files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_the_archive_starts_in_an_empty_folder_and_answers(
    tmp_path: Path, credentials: dict[str, str]
) -> None:
    folder = tmp_path / "empty"
    with zipfile.ZipFile(bundle.archive(bundle.contents(BUNDLES["functions"]), tmp_path)) as file:
        file.extractall(folder)
    before = files(folder)
    settings = {**credentials, "VCHAT_SIGNING_KEYS": dump_ring(new_ring())}
    with started("functions", folder, settings) as base:
        with urllib.request.urlopen(f"{base}/.well-known/jwks.json", timeout=20) as answer:
            assert json.load(answer)["keys"][0]["alg"] == "EdDSA"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{base}/nothing", timeout=20)
        assert json.load(refused.value)["code"] == "not-found"
        refused.value.close()
    assert files(folder) == before


def test_the_relays_bundle_starts_in_an_empty_folder_and_writes_nothing(
    tmp_path: Path, credentials: dict[str, str]
) -> None:
    folder = bundle.stage(bundle.contents(BUNDLES["relay"]), tmp_path / "empty")
    before = files(folder)
    with (
        started("relay", folder, credentials) as base,
        urllib.request.urlopen(f"{base}/live", timeout=20) as answer,
    ):
        assert answer.status == 200
    assert files(folder) == before


def test_both_deployables_run_the_same_python() -> None:
    terraform = (ROOT / "infra" / "terraform" / "functions.tf").read_text()
    dockerfile = (ROOT / "relay" / "Dockerfile").read_text()
    functions = re.findall(r'runtime\s+= "python(\d)(\d+)"', terraform)
    assert set(functions) == set(re.findall(r"^FROM python:(\d)\.(\d+)-", dockerfile, re.MULTILINE))


def test_the_image_runs_as_nobody_with_bytecode_and_without_tools() -> None:
    stages = (ROOT / "relay" / "Dockerfile").read_text().split("\nFROM ")
    assert len(stages) == 3, "expected a header, a build stage and a final one"
    build, final = stages[1:]
    assert "compileall" in build
    assert "--only-binary=:all:" in build
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", final, re.MULTILINE)
    assert "pip uninstall" in final
    for word in ("apt-get", "pip install", "ARG ", "ADD ", "SECRET", "TOKEN"):
        assert word not in final
    used = re.findall(r"^COPY (?!--from)(\S+)", build, re.MULTILINE)
    assert set(used) == {*BUNDLES["relay"].folders, "requirements.txt"}
