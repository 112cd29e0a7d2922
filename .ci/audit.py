"""What govulncheck and pip-audit find in everything that is pinned, against the list of what is accepted.

1 where something is found that is not on the list. Where a database does not answer, its reason is printed and nothing
is assessed: that is neither clean nor a finding.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ACCEPTED = ROOT / ".ci" / "accepted-advisories.toml"
GOVULNCHECK = "golang.org/x/vuln/cmd/govulncheck@v1.9.0"


@dataclass(frozen=True)
class Finding:
    """An advisory that names a version which is pinned."""

    module: str
    version: str
    ids: frozenset[str]
    """All the names that it goes by."""
    fixed: str = ""

    def __str__(self) -> str:
        fixed = f", fixed in {self.fixed}" if self.fixed else ", not fixed"
        return f"{self.module} {self.version}: {', '.join(sorted(self.ids))}{fixed}"


@dataclass(frozen=True)
class Accepted:
    """A finding that is lived with."""

    id: str
    module: str
    reason: str
    database: bool = True
    """False: no database that is asked here has it, so that nothing is said when it is not found."""

    def covers(self, finding: Finding) -> bool:
        """Whether it is this one."""
        return self.module == finding.module and self.id in finding.ids


class NoAnswer(Exception):
    """A database or a tool cannot be had; the text is the reason."""


def accepted(path: Path = ACCEPTED) -> list[Accepted]:
    """The list; a `ValueError` says which entry is not whole."""
    result = []
    for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("accepted", []):
        one = Accepted(**entry)
        if not all((one.id, one.module, one.reason.strip())):
            raise ValueError(f"{path.name}: {entry} lacks an id, a module or a reason")
        if any(one.id == other.id and one.module == other.module for other in result):
            raise ValueError(f"{path.name}: {one.id} of {one.module} is there twice")
        result.append(one)
    return result


def go_findings(text: str) -> list[Finding]:
    """What `govulncheck -json` printed: a sequence of JSON objects, not one."""
    names: dict[str, frozenset[str]] = {}
    found: dict[tuple[str, str], Finding] = {}
    for message in _objects(text):
        if "osv" in message:
            osv = message["osv"]
            names[osv["id"]] = frozenset([osv["id"], *osv.get("aliases", [])])
        elif "finding" in message:
            finding = message["finding"]
            where, name = finding["trace"][0], finding["osv"]
            ids = names.get(name, frozenset([name]))
            one = Finding(where["module"], where.get("version", ""), ids, finding.get("fixed_version", ""))
            found[name, one.module] = one
    return list(found.values())


def _objects(text: str) -> Iterator[dict[str, Any]]:
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        message, at = decoder.raw_decode(text, at)
        yield message


def python_findings(text: str) -> list[Finding]:
    """What `pip-audit --format=json` printed; `NoAnswer` where it looked nothing up, which it calls success."""
    packages = json.loads(text)["dependencies"]
    skipped = [package for package in packages if "skip_reason" in package]
    if skipped:
        raise NoAnswer(f"{len(skipped)} of {len(packages)} packages not looked up: {skipped[0]['skip_reason']}")
    return [
        Finding(
            package["name"],
            package["version"],
            frozenset([found["id"], *found.get("aliases", [])]),
            ", ".join(found.get("fix_versions", [])),
        )
        for package in packages
        for found in package["vulns"]
    ]


def assessed(
    findings: Sequence[Finding], listed: Sequence[Accepted], asked: Iterable[str]
) -> tuple[list[str], list[str]]:
    """What is new, and what stands on the list and was not found, of the modules and packages that were asked about."""
    new = [str(finding) for finding in findings if not any(one.covers(finding) for one in listed)]
    known = set(asked)
    gone = [
        f"{one.id} of {one.module}"
        for one in listed
        if one.database and one.module in known and not any(one.covers(finding) for finding in findings)
    ]
    return new, gone


def _run(command: list[str], folder: Path, success: Sequence[int] = (0,), **environment: str) -> str:
    """What a tool prints; `NoAnswer` with its last line where it fails."""
    env = {**os.environ, **environment}
    try:
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=900)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoAnswer(str(error)) from error
    if not done.stdout.strip() or done.returncode not in success:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode} and no output"]
        raise NoAnswer(lines[-1][-300:])
    return done.stdout


def go_modules(folder: Path, tools: Path) -> tuple[list[Finding], list[str]]:
    """Findings in a Go module's dependencies, and the modules that were asked about."""
    program = tools / "bin" / "govulncheck"
    if not program.exists():
        _run(["sh", "-c", 'go install "$1" && echo installed', "sh", GOVULNCHECK], ROOT, GOBIN=str(program.parent))
    with tempfile.TemporaryDirectory() as copy:
        # A module without dependencies has no go.sum.
        for file in (folder / "go.mod", folder / "go.sum"):
            if file.exists():
                shutil.copy(file, copy)
        # A module needs a package to be looked at; what is asked about is all of go.mod.
        (Path(copy) / "main.go").write_text("package main\n\nfunc main() {}\n", encoding="utf-8")
        said = _run([str(program), "-json", "-scan=module"], Path(copy), GOFLAGS="-mod=mod")
    return go_findings(said), _run(["go", "list", "-m", "-f={{.Path}}", "all"], folder).split()


def packages(lock: Path, tools: Path) -> tuple[list[Finding], list[str]]:
    """Findings in a lock of Python packages, and the packages that were asked about."""
    words = ["--requirement", str(lock), "--require-hashes", "--disable-pip", "--format=json", "--progress-spinner=off"]
    # 1 is a finding here; govulncheck calls a finding success where it prints JSON.
    said = _run([str(tools / "bin" / "pip-audit"), *words], ROOT, success=(0, 1))
    return python_findings(said), [package["name"] for package in json.loads(said)["dependencies"]]


def main(tools: Path) -> int:
    """Ask about every go.mod and every lock."""
    listed, failed = accepted(), False
    sources = [(path.parent, go_modules) for path in sorted((ROOT / "images").glob("*/go.mod"))]
    sources += [(path, packages) for path in sorted(ROOT.glob("requirements*.lock"))]
    for source, ask in sources:
        name = source.relative_to(ROOT)
        try:
            findings, asked = ask(source, tools)
        except NoAnswer as error:
            print(f"{name}: left out: {error}")
            continue
        new, gone = assessed(findings, listed, asked)
        failed = failed or bool(new)
        print(f"{name}: {len(asked)} asked about, {len(findings) - len(new)} accepted, {len(new)} new")
        for line in new:
            print(f"  NEW  {line}")
        for line in gone:
            print(f"  gone {line}: take it off {ACCEPTED.name} unless another image has it")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
