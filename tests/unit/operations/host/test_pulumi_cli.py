"""Pulumi's CLI: compiled once for a lock, or taken from a folder of the site."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from operations.host import pulumi_cli, toolchain
from operations.host.prepare import BootstrapError
from operations.host.shell import CommandFailed, Shell
from tests.unit.operations.host.machine import Machine

REASON = "pulumi is not here"
REAL_GO = shutil.which("go")


GO = """\
PATH=/usr/bin:/bin
[ "$1" = build ] || {{ echo go1.27.0; exit; }}
while [ "$1" != -o ]; do shift; done
echo "niced by $(nice)"
{ending}
"""
COMPILES = GO.format(ending="""printf '#!/bin/sh\\necho v3\\n' >"$2" """)


def fails(machine: Machine, said: str = "") -> None:
    """A Go that leaves half a program behind."""
    machine.program("go", GO.format(ending=f'echo half >"$2"; echo "{said}" >&2; exit 1'))


@pytest.fixture(autouse=True)
def go(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Go with which compiling is quick; the program of a real one is tried in tests/plugins."""
    monkeypatch.delenv(pulumi_cli.SITE_VARIABLE, raising=False)
    machine.program("go", COMPILES)
    machine.program("nice", 'exec /usr/bin/nice "$@"')


def made(home: Path) -> Path:
    """A machine that has compiled it."""
    (step,) = pulumi_cli.steps(home, REASON)
    step.act(Shell(home / "log"))
    found = pulumi_cli.program(home)
    assert found is not None
    return found


def test_the_pins_are_read_from_the_modules_own_file() -> None:
    assert re.fullmatch(r"v3\.\d+\.\d+", pulumi_cli.version())
    assert pulumi_cli.version() in pulumi_cli.linker()
    assert toolchain.parse(pulumi_cli.minimum_go()) >= (1, 26, 0)


def test_it_is_compiled_niced_with_the_reason_and_then_never_again(tmp_path: Path) -> None:
    (step,) = pulumi_cli.steps(tmp_path, REASON)
    assert step.title == "Compile the Pulumi CLI" and step.why.startswith(f"{REASON}; v3.")
    program = made(tmp_path)
    assert subprocess.run([program], capture_output=True, check=True).stdout == b"v3\n"
    assert "niced by 19" in (tmp_path / "log").read_text()
    assert pulumi_cli.steps(tmp_path, REASON) == []


def test_another_lock_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path)
    monkeypatch.setattr(pulumi_cli, "lock", lambda: "another")
    assert [step.name for step in pulumi_cli.steps(tmp_path, REASON)] == ["compile-pulumi"]


def test_go_is_unpacked_unless_another_step_does_so(tmp_path: Path, machine: Machine) -> None:
    machine.lacks("go")
    both = pulumi_cli.steps(tmp_path, REASON)
    assert [step.name for step in both] == ["go", "compile-pulumi"]
    assert [step.name for step in pulumi_cli.steps(tmp_path, REASON, both[:1])] == ["compile-pulumi"]


def test_a_compilation_that_fails_leaves_nothing_behind(tmp_path: Path, machine: Machine) -> None:
    fails(machine)
    (step,) = pulumi_cli.steps(tmp_path, REASON)
    with pytest.raises(CommandFailed):
        step.act(Shell(tmp_path / "log"))
    assert pulumi_cli.program(tmp_path) is None
    assert list((tmp_path / "pulumi" / "bin").iterdir()) == []


@pytest.mark.skipif(REAL_GO is None, reason="no Go on PATH to see fail")
def test_a_mirror_that_does_not_answer_is_one_sentence(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.program("go", f'exec {REAL_GO} "$@"')
    monkeypatch.setenv("GOPROXY", "http://127.0.0.1:9")
    (step,) = pulumi_cli.steps(tmp_path, REASON)
    with pytest.raises(BootstrapError, match=r"^A Go module .* can't be fetched: set GOPROXY .*BERTH_PULUMI_FOLDER"):
        step.act(Shell(tmp_path / "log"))


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("write /x/_pkg_.a: no space left on device", "is full: make room there"),
        ("reading http://m/x/@v/v1.zip: 404 Not Found", "can't be fetched: set GOPROXY"),
        ("internal compiler error", "ended with status 1"),
    ],
)
def test_gos_words_become_one_sentence_where_the_reason_is_known(
    tmp_path: Path, machine: Machine, said: str, sentence: str
) -> None:
    fails(machine, said)
    (step,) = pulumi_cli.steps(tmp_path, REASON)
    with pytest.raises(BootstrapError, match=sentence):
        step.act(Shell(tmp_path / "log"))


def test_too_little_room_is_said_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (step,) = pulumi_cli.steps(tmp_path, REASON)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**10, 0, 10**9))  # type: ignore[attr-defined]
    with pytest.raises(BootstrapError, match=r"1.0 GB are free for .* takes 6 GB.*BERTH_PULUMI_FOLDER"):
        step.act(Shell(tmp_path / "log"))


def test_what_the_site_has_compiled_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "other")
    monkeypatch.setenv(pulumi_cli.SITE_VARIABLE, str(tmp_path / "other" / "pulumi"))
    (step,) = pulumi_cli.steps(tmp_path / "here", REASON)
    assert step.title == f"Copy the Pulumi CLI from {tmp_path / 'other' / 'pulumi'}"
    step.act(Shell(tmp_path / "log"))
    found = pulumi_cli.program(tmp_path / "here")
    assert found and subprocess.run([found], capture_output=True, check=True).stdout == b"v3\n"


def test_a_folder_with_another_lock_is_named_and_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "other")
    (tmp_path / "other" / "pulumi" / "lock").write_text("another\n")
    monkeypatch.setenv(pulumi_cli.SITE_VARIABLE, str(tmp_path / "other" / "pulumi"))
    (step,) = pulumi_cli.steps(tmp_path / "here", REASON)
    assert step.name == "compile-pulumi"
    assert f"holds none of this lock ({pulumi_cli.lock()})" in step.why


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files of two users")
def test_a_program_that_others_could_have_written_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = made(tmp_path / "other")
    monkeypatch.setenv(pulumi_cli.SITE_VARIABLE, str(tmp_path / "other" / "pulumi"))
    (step,) = pulumi_cli.steps(tmp_path / "here", REASON)
    program.parent.chmod(0o777)
    with pytest.raises(BootstrapError, match="can be changed by other users than root"):
        step.act(Shell(tmp_path / "log"))
    program.parent.chmod(0o755)
    os.chown(program, 65534, 65534)
    with pytest.raises(BootstrapError, match="can be changed by other users than root"):
        step.act(Shell(tmp_path / "log"))
    assert pulumi_cli.program(tmp_path / "here") is None
