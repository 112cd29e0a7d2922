"""What every script begins with: one sentence of failure, values of the input, and waiting with an end."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from components.lib.host_files.shell import Script, script
from tests.unit.components.fake_node import FakeNode


def run(root: Path, text: str) -> subprocess.CompletedProcess[str]:
    """The text after lib.sh, on a node whose clock goes on by five seconds with each pause."""
    node = FakeNode(root, root / "no-such-program", ())
    return node.run(Script(f"{script()}\n{text}"), stdin="")


def test_a_failure_is_one_sentence_on_standard_error(tmp_path: Path) -> None:
    done = run(tmp_path, "fail 'no' \"such\" thing\nlog never")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "berth: no such thing\n")


@pytest.mark.parametrize(("key", "values"), [("disk", "/dev/sda\n"), ("probe", "a\nb c\n"), ("dis", "")])
def test_values_are_those_of_the_whole_key(tmp_path: Path, key: str, values: str) -> None:
    assert run(tmp_path, f"input='disk\t/dev/sda\nprobe\ta\nprobe\tb c'\nget {key}").stdout == values


def test_what_succeeds_at_once_is_not_waited_for(tmp_path: Path) -> None:
    done = run(tmp_path, "wait_for 60 true && seconds")
    assert (done.returncode, done.stdout) == (0, "0")


def test_waiting_passes_on_arguments_and_keeps_what_was_set(tmp_path: Path) -> None:
    text = 'tries=0\nattempt() { tries=$((tries + 1)); [ "$tries" -eq "$1" ]; }\nwait_for 60 attempt 4\nlog "$tries"'
    assert run(tmp_path, text).stdout == "4\n"


def test_waiting_ends_when_the_time_is_over(tmp_path: Path) -> None:
    done = run(tmp_path, 'wait_for 20 false || log "after $(seconds) s"')
    assert (done.returncode, done.stdout) == (0, "after 25 s\n")


def test_no_time_left_is_still_one_attempt(tmp_path: Path) -> None:
    assert run(tmp_path, "wait_for -3 log once").stdout == "once\n"
