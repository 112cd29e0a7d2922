"""The OCI distribution-spec conformance suite (v1.1.1), compiled from its Go module, and its verdict on a registry."""

from __future__ import annotations

import os
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

from operations.host import golang, toolchain
from tests.integration.registry import Registry

MODULE = "github.com/opencontainers/distribution-spec/conformance"
# The commit of the tag v1.1.1: the folder is a module of its own, which has no tags.
VERSION = "v0.0.0-20250123160558-a139cc423184"
WORKFLOWS = ("PULL", "PUSH", "CONTENT_DISCOVERY", "CONTENT_MANAGEMENT")
SECONDS = 300


class SuiteUnavailable(Exception):
    """The suite cannot be compiled on this machine; the text is the reason."""


def suite(cache: Path) -> Path:
    """The compiled suite, made once."""
    target = cache / "tests" / f"conformance-{VERSION}"
    if not target.exists():
        go = toolchain.find(cache)
        if go is None:
            raise SuiteUnavailable("The suite cannot be compiled: this machine has no Go.")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="berth-conformance-") as directory:
            (Path(directory) / "go.mod").write_text(f"module berth.invalid/suite\n\nrequire {MODULE} {VERSION}\n")
            done = subprocess.run(
                [go, "test", "-mod=mod", "-c", "-o", str(target), MODULE],
                cwd=directory,
                env=golang.environment(cache),
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            raise SuiteUnavailable(f"The suite cannot be compiled: {done.stderr.strip().splitlines()[-1]}")
    return target


def verdicts(program: Path, registry: Registry, namespace: str) -> dict[str, str]:
    """passed, failed or skipped by the spec's name; plain HTTP where the registry has no CA."""
    with tempfile.TemporaryDirectory(prefix="berth-conformance-") as directory:
        settings = {
            "OCI_ROOT_URL": f"{'https' if registry.ca_file else 'http'}://{registry.host}",
            "OCI_NAMESPACE": namespace,
            "OCI_CROSSMOUNT_NAMESPACE": f"{namespace}-other",
            "OCI_USERNAME": registry.user,
            "OCI_PASSWORD": registry.password,
            "OCI_REPORT_DIR": directory,
            "OCI_HIDE_SKIPPED_WORKFLOWS": "0",
            **{f"OCI_TEST_{workflow}": "1" for workflow in WORKFLOWS},
        }
        trust = {"SSL_CERT_FILE": registry.ca_file} if registry.ca_file else {}
        environment = {**os.environ, **settings, **trust}
        subprocess.run([program], cwd=directory, env=environment, capture_output=True, timeout=SECONDS, check=False)
        return read((Path(directory) / "junit.xml").read_text())


def read(report: str) -> dict[str, str]:
    """From the suite's JUnit report. Specs with the same name are numbered in their order."""
    found: dict[str, str] = {}
    times: Counter[str] = Counter()
    for case in ET.fromstring(report).iter("testcase"):
        name = str(case.get("name")).removeprefix("OCI Distribution Conformance Tests ")
        times[name] += 1
        found[f"{name} ({times[name]})" if times[name] > 1 else name] = str(case.get("status"))
    return found


def differences(ours: dict[str, str], bare: dict[str, str]) -> list[str]:
    """Specs with different verdicts."""
    return [
        f"{name}: {ours.get(name, 'missing')} through the balancers, {bare.get(name, 'missing')} on a bare registry"
        for name in {**bare, **ours}
        if ours.get(name) != bare.get(name)
    ]
