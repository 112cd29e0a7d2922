"""The OCI distribution-spec conformance suite (v1.1.1) through the balancers, and against a bare registry.

Both have to come to the same verdict spec by spec: what Berth puts in front of the registry changes nothing of what it
answers. The bare one is of the same build. The suite is compiled from the Go module mirror, or given ready made.
Usage: python bench/conformance.py [--stack dev] [--suite conformance.test]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import common
from operations.host import golang, toolchain

MODULE = "github.com/opencontainers/distribution-spec/conformance"
# The commit of the tag v1.1.1: the folder is a module of its own, which has no tags.
VERSION = "v0.0.0-20250123160558-a139cc423184"
WORKFLOWS = ("PULL", "PUSH", "CONTENT_DISCOVERY", "CONTENT_MANAGEMENT")
SECONDS = 300


class NoSuite(Exception):
    """The suite can't be had here; the text says why."""


def suite(cache: Path) -> Path:
    """The compiled suite, made once."""
    target = cache / "bench" / f"conformance-{VERSION}"
    go = toolchain.find(cache)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="berth-conformance-") as directory:
            (Path(directory) / "go.mod").write_text(f"module berth.invalid/suite\n\nrequire {MODULE} {VERSION}\n")
            done = subprocess.run(
                [str(go), "test", "-mod=mod", "-c", "-o", str(target), MODULE],
                cwd=directory,
                env=golang.environment(cache),
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            raise NoSuite(f"The suite can't be compiled: {done.stderr.strip().splitlines()[-1]}")
    return target


def verdicts(program: Path, target: common.Target, namespace: str) -> dict[str, str]:
    """passed, failed or skipped by the spec's name."""
    with tempfile.TemporaryDirectory(prefix="berth-conformance-") as directory:
        ca = Path(directory) / "ca.pem"
        ca.write_text(target.ca)
        settings = {
            "OCI_ROOT_URL": target.base,
            "OCI_NAMESPACE": namespace,
            "OCI_CROSSMOUNT_NAMESPACE": f"{namespace}-other",
            "OCI_USERNAME": target.user,
            "OCI_PASSWORD": target.password,
            "OCI_REPORT_DIR": directory,
            "OCI_HIDE_SKIPPED_WORKFLOWS": "0",
            **{f"OCI_TEST_{workflow}": "1" for workflow in WORKFLOWS},
        }
        environment = {**os.environ, **settings, **({"SSL_CERT_FILE": str(ca)} if target.ca else {})}
        subprocess.run([program], cwd=directory, env=environment, capture_output=True, timeout=SECONDS, check=False)
        return read((Path(directory) / "junit.xml").read_text())


def read(report: str) -> dict[str, str]:
    """From the suite's JUnit report. Several specs have the same name: they are told apart by their order."""
    found: dict[str, str] = {}
    times: Counter[str] = Counter()
    for case in ET.fromstring(report).iter("testcase"):
        name = str(case.get("name")).removeprefix("OCI Distribution Conformance Tests ")
        times[name] += 1
        found[f"{name} ({times[name]})" if times[name] > 1 else name] = str(case.get("status"))
    return found


def differences(ours: dict[str, str], bare: dict[str, str]) -> list[str]:
    """Specs on which the two do not agree."""
    return [
        f"{name}: {ours.get(name, 'missing')} through the balancers, {bare.get(name, 'missing')} on a bare registry"
        for name in {**bare, **ours}
        if ours.get(name) != bare.get(name)
    ]


def compare(lab: common.Lab, program: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Both verdicts. Deleting is part of the suite, so it runs as an admin where there is one."""
    with lab.bare() as (bare, _):
        beside = verdicts(program, bare, "bench/conformance")
    return verdicts(program, lab.target("admin", "push"), "bench/conformance"), beside


def main() -> int:
    """Run both, write the verdicts as JSON and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", default="dev")
    parser.add_argument("--suite", type=Path, help="the compiled suite, conformance.test")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    lab = common.Lab.of(options.stack)
    output = options.output or lab.workspace.home / "cache" / "bench" / "conformance.json"
    try:
        program = options.suite.resolve() if options.suite else suite(lab.workspace.home / "cache")
    except NoSuite as problem:
        sys.exit(str(problem))
    ours, bare = compare(lab, program)
    different = differences(ours, bare)
    common.save(output, {**common.conditions(), "berth": ours, "bare": bare, "different": different})
    rows = [
        [name, *(Counter(found.values())[verdict] for verdict in ("passed", "failed", "skipped"))]
        for name, found in (("Berth", ours), ("bare registry", bare))
    ]
    print(common.table(("registry", "passed", "failed", "skipped"), rows))
    print("\n".join(["", *different] if different else ["", "The same verdict on every spec."]))
    return int(bool(different) or not ours)


if __name__ == "__main__":
    sys.exit(main())
