"""Prints the inputs of the Terraform configuration as the table of docs/deploy.md.

python -m infra.tools.inputs
"""

import re

from infra.tools.bundle import ROOT

_VARIABLE = re.compile(r'^variable "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
_DEFAULT = re.compile(r"^  default\s*=\s*(.+)$", re.MULTILINE)
_DESCRIPTION = re.compile(r'^  description\s*=\s*"(.*)"$', re.MULTILINE)
_FIELD = re.compile(r"(\w+)\s*=\s*(?:optional\([\w()]+(?:,\s*(.+))?\)|\w+)$")


def table() -> str:
    """One row for each variable, as Markdown."""
    text = (ROOT / "infra" / "terraform" / "variables.tf").read_text()
    rows = ["| input | default | meaning |", "|---|---|---|"]
    for name, body in _VARIABLE.findall(text):
        described = _DESCRIPTION.search(body)
        meaning = described[1].replace('\\"', '"').replace("|", "\\|") if described else ""
        rows.append(f"| `{name}` | {_shown(body)} | {meaning} |")
    return "\n".join(rows) + "\n"


def _shown(body: str) -> str:
    default = _DEFAULT.search(body)
    if default is None:
        return "required"
    if default[1] != "{}":
        return f"`{default[1]}`"
    kind = body.partition("type = object({")[2].partition("\n  })")[0]
    fields = [found for line in kind.splitlines() if (found := _FIELD.match(line.strip()))]
    inner = ", ".join(f"{found[1]} = {found[2] or 'null'}" for found in fields)
    return f"`{inner or default[1]}`"


def main() -> None:
    print(table(), end="")


if __name__ == "__main__":
    main()
