"""What came out: a table on the screen and in docs/performance.md, and bench/results.json."""

import json
import platform
import re
import shutil
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.servers import HERE, OURS

PAGE = HERE.parent / "docs" / "performance.md"
RESULTS = HERE / "results.json"
_BEGIN, _END = "<!-- measured -->", "<!-- /measured -->"


@dataclass(frozen=True)
class Measure:
    """Each server's values of one measure, one a repeat; `better` is higher or lower."""

    name: str
    unit: str
    better: str
    values: dict[str, list[float]]

    def median(self, who: str) -> float:
        return statistics.median(self.values[who])

    def cell(self, who: str) -> str:
        """Median, and the spread if there is one."""
        several = self.values[who]
        text = _number(statistics.median(several))
        if len(several) > 1:
            text += f" ({_number(min(several))} to {_number(max(several))})"
        return text


def write(
    measures: Sequence[Measure], missing: dict[str, str], doubts: Sequence[str], *, short: bool
) -> None:
    """Print the table, and keep it in the page and the results."""
    text = "\n".join(_lines(measures, missing, doubts, short=short))
    print(text)
    page = PAGE.read_text()
    pattern = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
    PAGE.write_text(pattern.sub(lambda _: f"{_BEGIN}\n{text}\n{_END}", page))
    RESULTS.write_text(
        json.dumps(
            {
                "date": datetime.now(UTC).date().isoformat(),
                "machine": machine(),
                "versions": versions(),
                "missing": missing,
                "doubts": list(doubts),
                "measures": {
                    m.name: {
                        "unit": m.unit,
                        "ours": round(m.median(OURS), 3),
                        "peers": {who: round(m.median(who), 3) for who in m.values if who != OURS},
                        "better": m.better,
                        "repeats": {
                            who: [round(value, 3) for value in several]
                            for who, several in m.values.items()
                        },
                    }
                    for m in measures
                    if OURS in m.values
                },
            },
            indent=1,
        )
        + "\n"
    )


def _lines(
    measures: Sequence[Measure], missing: dict[str, str], doubts: Sequence[str], *, short: bool
) -> list[str]:
    form = "short form, `make bench`" if short else "long form, `make bench-long`"
    today = datetime.now(UTC).date().isoformat()
    made_of = ", ".join(f"{name} {number}" for name, number in versions().items())
    lines = [
        f"Measured on {today} ({form}) on {machine()}, with {made_of}.",
        "Medians, with the smallest and the largest of all repeats.",
        "",
        "| measure | who | value | V-Chat is |",
        "|---|---|---|---|",
    ]
    for m in measures:
        better = "more is better" if m.better == "higher" else "less is better"
        lines.append(f"| `{m.name}`: {m.unit} ({better}) | | | |")
        for who in m.values:
            ratio = ""
            if who != OURS and OURS in m.values and m.median(who) and m.median(OURS):
                up = m.median(OURS) / m.median(who)
                ratio = f"{up if m.better == 'higher' else 1 / up:.2f} × as good"
            name = f"**{who}**" if who == OURS else who
            lines.append(f"| | {name} | {m.cell(who)} | {ratio} |")
    lines.append("")
    lines += [f"Not measured: {name}, for want of `{what}`." for name, what in missing.items()]
    if doubts:
        lines += ["To be doubted:", "", *(f"- {doubt}" for doubt in doubts)]
    return lines


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def machine() -> str:
    model = "a machine"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
    cores = Path("/proc/cpuinfo").read_text().count("processor\t")
    return f"{cores} cores of {model}, Linux {platform.release()}"


def versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    found |= {name: version(name) for name in ("uvicorn", "uvloop", "starlette", "websockets")}
    for name, argv in (("Node", ["node", "--version"]), ("Go", ["go", "version"])):
        if shutil.which(argv[0]):
            told = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
            found[name] = re.sub(r"^v|^go version go| .*$", "", told.strip())
    return found
