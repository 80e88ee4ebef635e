"""The documents and the code say the same."""

import ast
import json
import re
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import msgspec
import pytest

from tests.components import need
from tests.relays import new_room
from tests.test_limits import proved
from vchat import inbound, limits, outbound
from vchat.errors import Why
from vchat.idleness import USUAL
from vchat.limits import Rate
from vchat.model import Member
from vchat.policy import Role
from vchat.state import Position

ROOT = Path(__file__).parent.parent
NOT_OURS = {".venv", ".vchat", ".git", "node_modules", "build"}
PAGES = sorted(
    page for page in ROOT.rglob("*.md") if not NOT_OURS & set(page.relative_to(ROOT).parts)
)
MAKEFILES = [ROOT / "Makefile", *ROOT.glob("*/*.mk")]
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)


def section(page: str, heading: str) -> str:
    return page.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, without the marks of code."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def blocks(page: Path) -> list[tuple[str, str]]:
    """(language, code) of every fenced block."""
    return _FENCE.findall(page.read_text())


# The contract


def test_every_close_code_is_documented_with_its_reason():
    told = {(row[0], row[1]) for row in rows(section(PROTOCOL, "Close codes"))[1:]}
    assert told == {(str(why.value.close), why.value.code) for why in Why if why.value.close}


def test_every_refusal_is_documented():
    pages = PROTOCOL + (ROOT / "docs" / "http.md").read_text()
    assert [why.value.code for why in Why if f"`{why.value.code}`" not in pages] == []


def test_every_message_of_a_browser_is_documented():
    told = {row[0] for row in rows(section(PROTOCOL, "What a browser says"))[1:]}
    assert told == {one.__struct_config__.tag for one in get_args(inbound.Message)}


def test_every_field_of_a_welcome_is_documented():
    me = Member(seat=1, user_id="u", name="Yuki", role=Role.MEMBER, avatar=None)
    frame = outbound.welcome(
        session="s",
        me=me,
        role=me.role,
        room=new_room(),
        people=0,
        lists=((), ()),
        known=0,
        head=Position("e", 0),
        recovered=False,
        resume="r",
        expires_in=1,
        relay="local",
        server_time=0,
        idleness=USUAL,
    )
    (row,) = (one for one in rows(PROTOCOL) if one[0] == "welcome")
    fields = json.loads(frame).keys() - {"type"}
    assert fields == set(re.findall(r"`(\w+)(?:`| \{)", row[1] + "`"))
    assert f"`{{{', '.join(_shape(outbound.LIMITS))}}}`" in PROTOCOL


def test_every_field_of_a_member_is_documented():
    names = [field.encode_name for field in msgspec.structs.fields(Member)]
    assert f"A Member is `{{{', '.join(names)}}}`" in PROTOCOL


def _shape(value: dict[str, Any]) -> list[str]:
    return [
        f"{name}: {{{', '.join(_shape(inner))}}}" if isinstance(inner, dict) else name
        for name, inner in value.items()
    ]


# Limits


def number(text: str) -> Rate | Fraction | tuple[Fraction, ...]:
    if match := re.fullmatch(r"(\d+), then (\d+)/(s|min)", text):
        burst, per, unit = match.groups()
        return Rate(int(burst), float(Fraction(per) / (1 if unit == "s" else 60)))
    if "–" in text:
        return tuple(Fraction(end) for end in text.split("–"))
    return Fraction(text)


def in_code(value: Any) -> Rate | Fraction | tuple[Fraction, ...]:
    if isinstance(value, Rate):
        return Rate(value.burst, float(value.per_s))
    return tuple(map(Fraction, value)) if isinstance(value, tuple) else Fraction(value)


def test_every_limit_is_documented_with_its_value():
    told = {
        row[0]: number(row[1])
        for row in rows((ROOT / "docs" / "limits.md").read_text())
        if row[0] != "name"
    }
    known = {name: in_code(value) for name, value in vars(limits).items() if name.isupper()}
    assert told == known


def test_every_limit_is_proved():
    # Give a new limit a row in tests/test_limits.py: what is taken at it, and refused beyond it; or
    # the test that shows that.
    known = {name for name in vars(limits) if name.isupper()}
    assert known - proved() == set()
    assert proved() - known == set()


# What pages point to


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page):
    prose = _FENCE.sub("", page.read_text())
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"", prose)
    files = [(link or other).split("#")[0] for link, other in links]
    missing = [
        file
        for file in files
        if file and not re.match(r"[a-z]+:", file) and not (page.parent / file).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_that_is_named_exists(page):
    targets = {
        name
        for file in MAKEFILES
        for name in re.findall(r"^([a-z-]+):(?!=)", file.read_text(), re.MULTILINE)
    }
    code = [code for _, code in blocks(page)]
    code += re.findall(r"`([^`\n]+)`", _FENCE.sub("", page.read_text()))
    code += re.findall(r"^ {4}(.*)", page.read_text(), re.MULTILINE)
    named = {
        name for one in code for name in re.findall(r"(?:^|[\s(;&])make ([a-z-]+)", f"\n{one}")
    }
    assert named - targets == set()


# What pages show


def _javascript(code: str, folder: Path) -> None:
    file = folder / "block.mjs"
    file.write_text(code)
    subprocess.run([need("node"), "--check", str(file)], check=True, capture_output=True)


def _shell(code: str, folder: Path) -> None:
    subprocess.run(["bash", "-n"], input=code, text=True, check=True, capture_output=True)


PARSE: dict[str, Callable[[str, Path], object]] = {
    "python": lambda code, folder: ast.parse(code),
    "json": lambda code, folder: json.loads(code),
    "js": _javascript,
    "sh": _shell,
}
EXAMPLES = [
    pytest.param(language, code, id=f"{page.relative_to(ROOT)}-{index}")
    for page in PAGES
    for index, (language, code) in enumerate(blocks(page))
    if language in PARSE
]


@pytest.mark.parametrize(("language", "code"), EXAMPLES)
def test_every_example_is_what_it_says(language, code, tmp_path):
    PARSE[language](code, tmp_path)


def test_both_readmes_have_the_same_parts():
    def parts(page: Path) -> tuple[list[str], list[str], set[str]]:
        prose = _FENCE.sub("", page.read_text())
        headings = re.findall(r"^(#+) ", prose, re.MULTILINE)
        # Comments and explanations are translated.
        code = [re.sub(r" *#.*|  +.*", "", line) for _, b in blocks(page) for line in b.split("\n")]
        links = set(re.findall(r"\]\(([^)\s#]+)", prose)) - {"README.md", "README.ja.md"}
        return headings, code, links

    assert parts(ROOT / "README.ja.md") == parts(ROOT / "README.md")


def test_the_picture_of_the_architecture_is_one():
    picture = ElementTree.parse(ROOT / "docs" / "architecture.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert picture.find("{http://www.w3.org/2000/svg}title") is not None
