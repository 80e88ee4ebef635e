"""The audit of dependencies: what is known fails, and what could not be asked never looks clean."""

import json

from infra.tools.audit import Audit, told


def pip(name: str, *, vulns: tuple[str, ...] = (), skipped: bool = False) -> dict:
    if skipped:
        return {"name": name, "skip_reason": "Dependency not found on PyPI"}
    holes = [{"id": one, "fix_versions": ["2"], "aliases": []} for one in vulns]
    return {"name": name, "version": "1", "vulns": holes}


def asked(*packages: dict, canary: str | None = None) -> Audit:
    audit = Audit()
    known = pip("pyjwt", vulns=("CVE-2022-29217",))
    answer = json.dumps({"dependencies": [known]}) if canary is None else canary
    audit.pip(answer, canary=True)
    audit.pip(json.dumps({"dependencies": list(packages)}))
    audit.npm("demo", json.dumps({"vulnerabilities": {}}))
    return audit


def test_what_is_clean_passes(capsys):
    assert told(asked(pip("redis")), strict=True) == 0
    assert capsys.readouterr().out == "No known vulnerabilities.\n"


def test_a_known_vulnerability_fails_and_says_what_mends_it(capsys):
    assert told(asked(pip("redis", vulns=("CVE-1",))), strict=False) == 1
    assert "VULNERABLE  redis 1: CVE-1, mended in 2" in capsys.readouterr().out


def test_a_known_vulnerability_of_npm_fails():
    audit = asked(pip("redis"))
    found = {"three": {"range": "<1", "severity": "high"}}
    audit.npm("demo", json.dumps({"vulnerabilities": found}))
    assert audit.known == ["demo: three <1: high"]


def test_what_could_not_be_asked_is_said_loudly_and_fails_when_strict(capsys):
    refused = json.dumps({"message": "405 Method Not Allowed", "statusCode": 405})
    unreached = asked(pip("redis"))
    unreached.npm("client", refused)
    for audit in (
        asked(pip("redis", skipped=True)),  # pip-audit calls this "no known vulnerabilities"
        asked(),
        asked(pip("redis"), canary=""),
        asked(pip("redis"), canary=json.dumps({"dependencies": [pip("pyjwt", skipped=True)]})),
        asked(pip("redis"), canary=json.dumps({"dependencies": [pip("pyjwt")]})),
        unreached,
    ):
        assert told(audit, strict=False) == 0
        assert "NOT AUDITED" in capsys.readouterr().out
        assert told(audit, strict=True) == 3
