"""Known vulnerabilities in what we depend on: `python -m infra.tools.audit`.

Fails for each one that is known. Where no database answers it says so in capitals, and fails only
with `--strict`: a network that is shut must not stop all work, nor pass for a clean bill.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass, field
from typing import Any

from infra.tools.bundle import ROOT
from infra.tools.commands import Stopped, output_of

CANARY = "PyJWT==2.3.0"
"""Had a hole that every database knows (CVE-2022-29217); one that does not is not to be believed,
and pip-audit calls it clean when a database does not know a package at all."""
_LOCKS = ("client", "demo")


@dataclass
class Audit:
    """What came of asking."""

    known: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)

    def pip(self, answer: str, *, canary: bool = False) -> None:
        """Take in what pip-audit printed: as JSON, its vulnerabilities and what it skipped."""
        found = _json(answer)
        packages = found.get("dependencies", [])
        ids = [
            f"{one['name']} {one['version']}: {hole['id']}, "
            f"mended in {', '.join(hole['fix_versions']) or 'nothing yet'}"
            for one in packages
            for hole in one.get("vulns", [])
        ]
        if canary:
            if not ids:
                self.unasked.append("Python: the database does not answer, or knows nothing")
            return
        self.known += ids
        skipped = [one["name"] for one in packages if "skip_reason" in one]
        if skipped or not packages:
            self.unasked.append(f"Python: {', '.join(skipped) or 'every package'}")

    def npm(self, folder: str, answer: str) -> None:
        """Take in what `npm audit --json` printed."""
        found = _json(answer)
        if "vulnerabilities" not in found:
            why = found.get("message") or "npm said nothing"
            self.unasked.append(f"npm, {folder}: {why}")
            return
        for name, one in found["vulnerabilities"].items():
            self.known.append(f"{folder}: {name} {one['range']}: {one['severity']}")


def _json(answer: str) -> dict[str, Any]:
    try:
        found = json.loads(answer)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def ask_all() -> Audit:
    """Ask about the packages of this environment and of every lock file. Raises Stopped."""
    audit = Audit()
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as canary:
        canary.write(CANARY)
        canary.flush()
        audit.pip(
            _pip_audit("--requirement", canary.name, "--no-deps", "--disable-pip"), canary=True
        )
    if not audit.unasked:
        audit.pip(_pip_audit())
    for folder in _LOCKS:
        words = ("npm", "audit", "--json", "--package-lock-only", "--prefix", str(ROOT / folder))
        audit.npm(folder, output_of(*words))
    return audit


def _pip_audit(*options: str) -> str:
    words = (sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off")
    return output_of(*words, *options)


def told(audit: Audit, *, strict: bool) -> int:
    """Tell a person; the exit code."""
    for one in audit.known:
        print(f"VULNERABLE  {one}")
    for one in audit.unasked:
        print(f"NOT AUDITED  {one}")
    if audit.known:
        return 1
    if audit.unasked:
        print(
            "NOT AUDITED: nothing is known of these packages, good or bad. Ask again with network."
        )
        return 3 if strict else 0
    print("No known vulnerabilities.")
    return 0


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--strict", action="store_true", help="fail where no database answers")
    asked = ask.parse_args()
    try:
        sys.exit(told(ask_all(), strict=asked.strict))
    except Stopped as stopped:
        sys.exit(str(stopped))


if __name__ == "__main__":
    main()
