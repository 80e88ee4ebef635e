"""What `make` prepares where something is not as it should be, and how it spreads the tests."""

import os
import subprocess

import pytest

from tests.components import need
from tests.processes import ROOT, environment

HALF = """#!/bin/sh
[ "$1" = -m ] || exit 0
shift 2; for last; do :; done
mkdir -p "$last/bin" && touch "$last/bin/python" && chmod +x "$last/bin/python"
"""  # Debian's without python3-venv leaves this much behind
WHOLE = f'{HALF}printf "#!/bin/sh\\n" > "$last/bin/pip" && chmod +x "$last/bin/pip"'
BROKEN_NPM = """#!/bin/sh
case "$*" in *--silent*) ;; *) echo npm error code ECONNREFUSED >&2 ;; esac
exit 1
"""
BROKEN = f"{HALF}echo ensurepip is not available >&2; exit 1"


@pytest.fixture(name="prepare")
def _prepare(tmp_path):
    venv = tmp_path / "venv"

    def prepare(python: str) -> subprocess.CompletedProcess[str]:
        if python.startswith("#!"):
            program = tmp_path / "python"
            program.write_text(python)
            program.chmod(0o755)
            python = str(program)
        return subprocess.run(
            [need("make"), f"PYTHON={python}", f"VENV={venv}", f"{venv}/runtime"],
            cwd=ROOT,
            env=environment(MAKEFLAGS="", MAKELEVEL="0"),  # not what started the tests
            capture_output=True,
            text=True,
            check=False,
        )

    return prepare


def test_a_python_that_can_make_no_environment_leaves_none_to_a_better_one(prepare, tmp_path):
    failed = prepare(BROKEN)
    assert failed.returncode != 0
    assert "ensurepip" in failed.stderr
    assert not (tmp_path / "venv").exists()
    assert prepare(WHOLE).returncode == 0


def test_an_environment_without_pip_is_made_anew(prepare, tmp_path):
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    python = tmp_path / "venv" / "bin" / "python"
    python.write_text("#!/bin/sh")
    python.chmod(0o755)
    done = prepare(WHOLE)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "venv" / "runtime").exists()


@pytest.mark.parametrize("python", ["python-of-another-day", "#!/bin/sh\nexit 1"])
def test_a_python_that_is_missing_or_too_old_is_one_sentence(prepare, python):
    done = prepare(python)
    assert done.returncode != 0
    (sentence, _) = (done.stdout + done.stderr).strip().splitlines()  # and make's own
    assert "Python 3.11 or newer" in sentence
    assert "PYTHON=" in sentence


def test_packages_that_npm_cannot_bring_are_told_with_its_reason_and_are_asked_for_again(tmp_path):
    npm = tmp_path / "npm"
    npm.write_text(BROKEN_NPM)
    npm.chmod(0o755)
    ready = "client/node_modules/.ready"
    for _ in range(2):
        done = subprocess.run(
            [need("make"), f"NPM={npm}", "--what-if=client/package.json", ready],
            cwd=ROOT,
            env=environment(MAKEFLAGS="", MAKELEVEL="0"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 0
        assert "ECONNREFUSED" in done.stderr


def test_a_files_tests_are_on_one_worker(request):
    """What several share is made once, and not by two at a time in one folder."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("these tests run in one process")
    assert request.node.nodeid.endswith("@test_make.py")
