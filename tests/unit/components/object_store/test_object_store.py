"""The object store's part of a bundle, run as a node would, with a docker on PATH that notes what it is asked."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.lib.host_files.bundle import Directive, File
from components.lib.host_files.bundle import render as bundle
from components.lib.host_files.shell import as_root, stage_script
from components.object_store.component import SCRIPTS

Apply = Callable[[str], subprocess.CompletedProcess[str]]
DOCKER = """#!/bin/sh
case $1 in
inspect) cat "$STATUS" ;;
kill) echo "$*" >>"$CALLS" ;;
esac
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the fake docker notes signals; the container runs."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "docker").write_text(DOCKER)
    (programs / "docker").chmod(0o755)
    (tmp_path / "status").write_text("running\n")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("STATUS", str(tmp_path / "status"))
    return tmp_path / "calls"


@pytest.fixture
def apply(tmp_path: Path) -> Iterator[Apply]:
    """Writes a certificate by the stage's own script, with a state directory that is gone afterwards."""
    if os.geteuid() != 0:
        pytest.skip("the script writes below /var/lib and changes owners: it needs root")
    name, certs = f"unit-{uuid.uuid4().hex[:8]}", tmp_path / "certs"

    def run(text: str, verb: str = "apply") -> subprocess.CompletedProcess[str]:
        facts = [Directive("certificate", [str(certs)]), Directive("container", ["berth-object-store"])]
        files = [File(f"{certs}/public.crt", text), File(f"{certs}/private.key", text, mode="0600")]
        command = as_root(stage_script(*SCRIPTS), verb, name, "object-store")
        return subprocess.run(
            ["sh", "-c", command],
            input=bundle([*files, *facts]),
            text=True,
            capture_output=True,
            check=False,
            timeout=60,
        )

    yield run
    run("", "remove")


def test_a_running_minio_is_told_of_a_new_certificate_once(apply: Apply, calls: Path) -> None:
    for text in ("one\n", "two\n", "two\n"):
        assert apply(text).returncode == 0
    assert calls.read_text() == "kill --signal HUP berth-object-store\n" * 2


def test_a_minio_that_does_not_run_is_told_nothing(apply: Apply, calls: Path) -> None:
    (calls.parent / "status").write_text("exited\n")
    assert apply("one\n").returncode == 0
    assert not calls.exists()


def test_a_run_that_was_cut_short_tells_it_the_next_time(apply: Apply, calls: Path) -> None:
    (calls.parent / "bin" / "docker").write_text(DOCKER.replace('echo "$*" >>"$CALLS"', "exit 1"))
    assert apply("one\n").returncode == 1
    (calls.parent / "bin" / "docker").write_text(DOCKER)
    assert apply("one\n").returncode == 0
    assert calls.read_text().count("HUP") == 1
