"""What the audit makes of what the tools say, and that every accepted finding has its reason."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

CI = Path(__file__).resolve().parents[2] / ".ci"


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("berth_audit", CI / "audit.py")
    assert spec and spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# As govulncheck ends without its database: a beginning that looks like an answer.
TOOL = """#!/bin/sh
echo '{"config": {"db": "https://vuln.go.dev"}}'
echo 'no such host' >&2
exit 2
"""

GOVULNCHECK = "\n".join(
    json.dumps(message, indent=1)
    for message in (
        {"config": {"db": "https://vuln.go.dev"}},
        {"osv": {"id": "GO-2026-0001", "aliases": ["CVE-2026-1", "GHSA-x"]}},
        {"finding": {"osv": "GO-2026-0001", "trace": [{"module": "m.x/a", "version": "v1.0.0"}]}},
        {"finding": {"osv": "GO-2026-0001", "trace": [{"module": "m.x/a", "version": "v1.0.0"}]}},
        {"osv": {"id": "GO-2026-0002"}},
        {"finding": {"osv": "GO-2026-0002", "fixed_version": "v2", "trace": [{"module": "m.x/b", "version": "v1"}]}},
    )
)


def test_findings_of_go_are_read_once_each_with_all_their_names(audit: ModuleType) -> None:
    assert [str(finding) for finding in audit.go_findings(GOVULNCHECK)] == [
        "m.x/a v1.0.0: CVE-2026-1, GHSA-x, GO-2026-0001, not fixed",
        "m.x/b v1: GO-2026-0002, fixed in v2",
    ]


def test_a_finding_that_is_not_on_the_list_is_new(audit: ModuleType) -> None:
    findings = audit.go_findings(GOVULNCHECK)
    listed = [audit.Accepted("CVE-2026-1", "m.x/a", "why"), audit.Accepted("GO-2026-0002", "m.x/other", "why")]
    new, gone = audit.assessed(findings, listed, ["m.x/a", "m.x/b"])
    assert (new, gone) == (["m.x/b v1: GO-2026-0002, fixed in v2"], [])


def test_an_entry_that_nothing_finds_any_more_is_named(audit: ModuleType) -> None:
    listed = [
        audit.Accepted("CVE-1", "m.x/a", "why"),
        audit.Accepted("SN-1", "m.x/a", "why", database=False),
        audit.Accepted("CVE-2", "m.x/of-another-image", "why"),
    ]
    assert audit.assessed([], listed, ["m.x/a"]) == ([], ["CVE-1 of m.x/a"])


def test_findings_of_python_are_read(audit: ModuleType) -> None:
    vulns = [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2.0"]}]
    said = {
        "dependencies": [{"name": "a", "version": "1.0", "vulns": vulns}, {"name": "b", "version": "1", "vulns": []}]
    }
    (finding,) = audit.python_findings(json.dumps(said))
    assert str(finding) == "a 1.0: CVE-1, PYSEC-1, fixed in 2.0"


def test_packages_that_were_not_looked_up_are_not_taken_for_clean(audit: ModuleType) -> None:
    said = {
        "dependencies": [{"name": "a", "skip_reason": "not found on PyPI"}, {"name": "b", "version": "1", "vulns": []}]
    }
    with pytest.raises(audit.NoAnswer, match="1 of 2 packages not looked up: not found on PyPI"):
        audit.python_findings(json.dumps(said))


def test_a_database_that_does_not_answer_is_left_out_with_its_reason(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("govulncheck", "pip-audit"):
        (tmp_path / "bin" / name).write_text(TOOL)
        (tmp_path / "bin" / name).chmod(0o755)
    assert audit.main(tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "images/minio: left out: no such host" in lines and "requirements.lock: left out: no such host" in lines
    assert all("left out" in line for line in lines)


def test_every_accepted_finding_has_a_reason_and_a_module_that_is_pinned(audit: ModuleType) -> None:
    pinned = "".join(path.read_text() for path in CI.parent.glob("images/*/go.mod"))
    for one in audit.accepted():
        assert len(one.reason.split()) > 5, one
        assert f"\t{one.module} v" in pinned, f"{one.id} is of nothing that is pinned"
        assert re.fullmatch(r"(CVE-\d{4}-\d+|GO-\d{4}-\d+|GHSA-\S+|SN-\d{4}-\d+|PYSEC-\S+)", one.id)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[accepted]]\nid = "CVE-1"\nmodule = "m"\nreason = " "\n', "lacks an id, a module or a reason"),
        ('[[accepted]]\nid = "CVE-1"\nmodule = "m"\nreason = "x"\n' * 2, "is there twice"),
    ],
)
def test_a_list_that_is_not_whole_is_refused(audit: ModuleType, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "list.toml").write_text(text)
    with pytest.raises(ValueError, match=said):
        audit.accepted(tmp_path / "list.toml")
