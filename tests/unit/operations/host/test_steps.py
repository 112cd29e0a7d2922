"""Steps run in their order, side by side where they may, and a failure shows its command and log."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from operations.host import steps
from operations.host.prepare import BootstrapError
from operations.host.shell import Shell
from operations.host.steps import Step


def console() -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=200), text


def test_a_step_waits_for_those_it_depends_on(tmp_path: Path) -> None:
    order: list[str] = []

    def act(name: str, pause: float) -> Step:
        def do(shell: Shell) -> None:
            time.sleep(pause)
            order.append(name)

        return Step(name, name, "", do, {"b": ("a",), "c": ("b", "not needed today")}.get(name, ()))

    steps.run([act("a", 0.02), act("b", 0.01), act("c", 0)], console()[0], tmp_path)
    assert order == ["a", "b", "c"]


def test_steps_that_do_not_depend_on_each_other_run_at_the_same_time(tmp_path: Path) -> None:
    both = threading.Barrier(2, timeout=5)
    steps.run([Step(name, name, "", lambda shell: both.wait() and None) for name in ("a", "b")], console()[0], tmp_path)


def test_each_step_says_how_long_it_took(tmp_path: Path) -> None:
    out, text = console()
    steps.run([Step("a", "Make a", "", lambda shell: None)], out, tmp_path)
    assert text.getvalue() == "Make a: done in 0 s\n"


def test_a_failed_command_is_shown_with_the_end_of_its_log(tmp_path: Path) -> None:
    def fail(shell: Shell) -> None:
        shell.run(["sh", "-c", "seq 100; echo 'no space left' >&2; exit 7"])

    with pytest.raises(BootstrapError) as caught:
        steps.run([Step("base", "Make a base", "", fail)], console()[0], tmp_path)
    message = str(caught.value)
    assert message.startswith("Make a base failed.\nsh -c ")
    assert "ended with status 7" in message
    assert message.endswith("    no space left")
    assert "    100\n" in message and "    50\n" not in message
    assert str(tmp_path / "bootstrap-base.log") in message


def test_a_command_that_is_not_there_is_an_error_without_a_stack_trace(tmp_path: Path) -> None:
    with pytest.raises(BootstrapError, match="no-such-program can't be run"):
        Shell(tmp_path / "log").run(["no-such-program"])


def test_a_failing_producer_of_a_pipe_is_not_overlooked(tmp_path: Path) -> None:
    with pytest.raises(BootstrapError, match="exit 3"):
        Shell(tmp_path / "log").pipe(["sh", "-c", "exit 3"], ["cat"])


def test_a_failure_ends_what_runs_beside_it_and_nothing_new_starts(tmp_path: Path) -> None:
    started = threading.Event()

    def long(shell: Shell) -> None:
        started.set()
        shell.run(["sleep", "60"])

    def fail(shell: Shell) -> None:
        started.wait(5)
        shell.run(["false"])

    never: list[str] = []
    todo = [
        Step("long", "long", "", long),
        Step("bad", "bad", "", fail),
        Step("next", "next", "", lambda shell: never.append("ran"), ("long",)),
    ]
    begun = time.monotonic()
    with pytest.raises(BootstrapError, match="bad failed"):
        steps.run(todo, console()[0], tmp_path)
    assert time.monotonic() - begun < 10
    assert never == []


def test_a_package_manager_is_left_to_finish(tmp_path: Path) -> None:
    finished: list[bool] = []

    def install(shell: Shell) -> None:
        shell.run(["sleep", "0.5"])
        finished.append(True)

    todo = [
        Step("packages", "packages", "", install, interruptible=False),
        Step("bad", "bad", "", lambda shell: shell.run(["false"])),
    ]
    with pytest.raises(BootstrapError, match="bad failed"):
        steps.run(todo, console()[0], tmp_path)
    assert finished == [True]
