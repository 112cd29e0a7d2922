"""What a node is asked before Kolla may have it: its interface, its packages, names, and its clock."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.kolla.component import SCRIPTS
from components.lib.host_files.bundle import Directive, Entry
from components.lib.host_files.bundle import render as bundle
from components.lib.host_files.shell import as_root, stage_script

Apply = Callable[..., subprocess.CompletedProcess[str]]
GOOD = {
    "dpkg-query": 'echo "install ok installed"',
    "getent": 'echo "10.78.0.11      STREAM control1"',
    "chronyc": "true",
}


@pytest.fixture
def apply(tmp_path: Path) -> Iterator[Apply]:
    """Runs the stage's script as a node would; `programs` are what the node answers with."""
    if os.geteuid() != 0:
        pytest.skip("the script writes below /var/lib: it needs root")
    name = f"unit-{uuid.uuid4().hex[:8]}"

    def run(*wanted: Entry, verb: str = "apply", **programs: str) -> subprocess.CompletedProcess[str]:
        for program, answer in {**GOOD, "systemctl": "true", **programs}.items():
            path = tmp_path / program.replace("_", "-")
            path.write_text(f"#!/bin/sh\n{answer}\n")
            path.chmod(0o755)
        command = as_root(stage_script(*SCRIPTS), verb, name, "kolla-node")
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        return subprocess.run(
            ["sh", "-c", command],
            input=bundle([Directive("resolves", ["control1", "10.78.0.11"]), *wanted]),
            text=True,
            capture_output=True,
            check=False,
            timeout=60,
            env=environment,
        )

    yield run
    run(verb="remove")


def test_a_node_that_has_everything_is_accepted(apply: Apply) -> None:
    done = apply(
        Directive("package", ["chrony"]),
        Directive("interface", ["lo"]),
        Directive("source", ["yes"]),
    )
    assert done.returncode == 0, done.stderr


def test_a_missing_interface_is_named_with_those_that_there_are(apply: Apply) -> None:
    done = apply(Directive("interface", ["eth9"]))
    assert done.returncode != 0
    assert "has no interface eth9 (it has: " in done.stderr and "berth:kolla.hostVariables" in done.stderr


def test_a_name_that_leads_elsewhere_is_named_with_where_it_leads(apply: Apply) -> None:

    done = apply(getent='echo "127.0.1.1 STREAM control1"')
    assert done.returncode != 0 and "control1 leads to 127.0.1.1 here, and should to 10.78.0.11" in done.stderr
    done = apply(getent="exit 2")
    assert done.returncode != 0 and "control1 leads to nothing here" in done.stderr


def test_a_clock_that_is_off_by_a_minute_is_told_with_its_distance(apply: Apply) -> None:
    answer = 'case $1 in waitsync) exit 1 ;; -c) echo "A,B,3,1,60.013204,0.1" ;; esac'
    done = apply(Directive("source", ["yes"]), chronyc=answer)
    assert done.returncode != 0 and "the clock is not in step with its source" in done.stderr
    assert "60.013204 s off" in done.stderr
    assert apply(Directive("source", ["no"]), chronyc=answer).returncode == 0, (
        "without a source there is nothing to ask"
    )


def test_packages_that_cannot_be_installed_are_named_with_what_apt_said(apply: Apply) -> None:
    done = apply(
        Directive("package", ["chrony"]),
        dpkg_query="exit 1",
        apt_get="echo 'E: Unable to locate package' >&2; exit 100",
    )
    assert done.returncode != 0 and "apt-get could not install chrony" in done.stderr
    assert "Unable to locate package" in done.stderr
