"""Rehearsed faults go unnoticed by clients."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.integration.lab import Lab

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
