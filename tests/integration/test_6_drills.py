"""Rehearsed faults go unnoticed, and the front is judged by others' suites."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.integration.lab import STACK, Lab

pytestmark = pytest.mark.lab

# Of each kind one; the others are in the long run, which goes through all of them again and again.
SHORT = ("kill-nginx", "kill-keepalived", "pause-replica", "kill-cache", "pause-minio", "kill-dockerd", "pause-node")


def drill(lab: Lab, *words: str, timeout: float) -> None:
    # Other tests of this machine may take a processor away for longer than a lab may be silent.
    code, output = lab.try_berth("drill", "--json", "--duration", "4", "--max-outage", "2.5", *words, timeout=timeout)
    assert code == 0, output
    assert json.loads(output[output.index("{\n") :])["ok"] is True


def test_a_drill_of_each_kind_ends_with_nothing_failed_after_a_repeat(lab: Lab) -> None:
    drill(lab, *(word for name in SHORT for word in ("--fault", name)), timeout=500)


@pytest.mark.full
def test_a_hundred_faults_end_with_nothing_failed_after_a_repeat(lab: Lab) -> None:
    drill(lab, "--count", "100", timeout=7200)


def test_a_stack_that_is_no_lab_is_never_drilled(checkout: Lab) -> None:
    process = subprocess.run(
        [str(checkout.root / "berth"), "drill", "--stack", "prod"],
        cwd=checkout.root,
        env=checkout.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2
    assert "prod" in process.stdout + process.stderr


def bench(lab: Lab, script: str, *words: str, timeout: float = 600) -> str:
    """Output of a bench that judges, run on the lab; it ends with an error where its judgement is bad."""
    done = subprocess.run(
        [sys.executable, f"bench/{script}.py", "--stack", STACK, *words],
        cwd=lab.root,
        env=lab.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    if "can't be compiled" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_oci_suite_comes_to_the_same_verdicts_through_the_balancers_as_on_a_bare_registry(lab: Lab) -> None:
    assert "The same verdict on every spec" in bench(lab, "conformance")


@pytest.mark.full
def test_protocols_and_ciphers_are_mozillas_intermediate_ones_everywhere(lab: Lab) -> None:
    bench(lab, "tls", timeout=1800)
