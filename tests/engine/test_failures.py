"""Failures: what goes on, what is kept, and what the user is told."""

from __future__ import annotations

import pytest

from tests.engine.conftest import Sandbox


def test_after_a_failure_independent_work_finishes_and_dependents_are_left_out(sandbox: Sandbox) -> None:
    sandbox.program(
        "bad = Thing('bad', fail='create')\nThing('child', color=bad.serial)\n"
        "Thing('later', opts=O(depends_on=[bad]))\n"
        "slow = Thing('slow', sleep=0.3)\nThing('after-slow', color=slow.serial)"
    )
    result = sandbox.up()
    assert result.code == 1
    assert "create of bad failed" in result.err
    assert "Traceback" not in result.err
    assert sandbox.world.names() == ["after-slow", "slow"]
    assert {"slow", "after-slow"} <= set(sandbox.resources())
    assert not sandbox.journal.exists()
    assert not list(sandbox.locks.iterdir())


def test_a_failed_run_deletes_nothing_and_keeps_what_was_not_registered(sandbox: Sandbox) -> None:
    sandbox.up_ok("Thing('old')\nThing('a')")
    sandbox.program("Thing('a', fail='update')")
    assert sandbox.up().code == 1
    assert sandbox.world.names() == ["a", "old"]
    assert set(sandbox.resources()) >= {"a", "old"}
    sandbox.up_ok("Thing('a')")
    assert sandbox.world.names() == ["a"]


def test_a_program_that_raises_keeps_what_it_made_and_shows_its_own_traceback(sandbox: Sandbox) -> None:
    sandbox.up_ok("Thing('old')\npulumi.export('x', 'kept')")
    sandbox.program("Thing('a', sleep=0.2)\nraise ValueError('broken')")
    result = sandbox.up()
    assert result.code == 1
    assert "ValueError: broken" in result.err
    assert "__main__.py" in result.err
    assert "engine/program.py" not in result.err
    assert sandbox.world.names() == ["a", "old"]
    assert sandbox.run("stack", "output", "x").out == "kept\n"


def test_an_error_meant_for_users_is_shown_as_its_text_only(sandbox: Sandbox) -> None:
    sandbox.program("class E(Exception):\n    user_message = True\nraise E('berth:nodes: nothing there')")
    assert sandbox.up().err == "error: berth:nodes: nothing there\n"
    sandbox.program("raise pulumi.RunError('please stop')")
    assert sandbox.up().err == "error: please stop\n"
    sandbox.program("import sys\nsys.exit(3)")
    assert sandbox.up().code == 1


def test_outputs_of_a_failed_run_are_kept_where_the_new_ones_are_unknown(sandbox: Sandbox) -> None:
    program = "a = Thing('a', color='red', fail='FAIL')\npulumi.export('s', a.serial)\npulumi.export('n', 'N')"
    sandbox.up_ok(program.replace("N')", "one')"))
    before = sandbox.run("stack", "output", "s").out
    sandbox.program(program.replace("red", "blue").replace("FAIL", "update").replace("N')", "two')"))
    assert sandbox.up().code == 1
    assert sandbox.run("stack", "output", "s").out == before


def test_a_failed_deletion_keeps_what_it_still_needs_and_goes_on_elsewhere(sandbox: Sandbox) -> None:
    sandbox.up_ok("a = Thing('a')\nThing('b', color=a.serial, fail='delete')\nThing('c')")
    assert sandbox.run("destroy", "--yes").code == 1
    assert sandbox.world.names() == ["a", "b"]
    assert {"a", "b"} <= set(sandbox.resources())
    assert "c" not in sandbox.resources()


def test_a_replacement_that_fails_to_create_keeps_the_old_resource(sandbox: Sandbox) -> None:
    sandbox.up_ok("Thing('a', kind='x')")
    sandbox.program("Thing('a', kind='y', fail='create')")
    assert sandbox.up().code == 1
    assert sandbox.resources()["a"]["inputs"]["kind"] == "x"
    sandbox.up_ok("Thing('a', kind='y')")
    assert sandbox.world.names() == ["a"]


def test_an_old_half_that_could_not_be_deleted_goes_with_the_next_run(sandbox: Sandbox) -> None:
    sandbox.up_ok("Thing('a', kind='x', fail='delete')")
    sandbox.program("Thing('a', kind='y')")
    assert sandbox.up().code == 1
    assert sandbox.world.names() == ["a", "a"]
    raw = sandbox.state_file.read_text().replace('"fail":"delete"', '"fail":"never"')
    sandbox.state_file.write_text(raw)
    sandbox.up_ok()
    assert sandbox.world.names() == ["a"]


def test_a_delete_before_replace_cut_off_after_the_deletion_is_created_by_the_next_run(sandbox: Sandbox) -> None:
    sandbox.up_ok("Thing('a', unique=True, kind='x')")
    sandbox.program("Thing('a', unique=True, kind='y', fail='create')")
    assert sandbox.up().code == 1
    assert sandbox.resources()["a"]["pendingReplacement"] is True
    sandbox.world.forget_calls()
    sandbox.up_ok("Thing('a', unique=True, kind='z')")
    assert sandbox.world.calls() == ["create a", "close"]
    assert "pendingReplacement" not in sandbox.resources()["a"]


def test_unknown_values_stay_in_the_preview(sandbox: Sandbox) -> None:
    sandbox.program("a = Thing('a')\nb = Thing('b', color=a.serial)\npulumi.export('u', b.serial)")
    shown = sandbox.run("preview", "--diff").out
    assert "[unknown]" in shown
    assert "04da6b54" not in shown
    assert sandbox.up("--diff").code == 0
    assert "04da6b54" not in sandbox.state_file.read_text()


def test_a_preview_goes_on_after_a_failure_to_show_all_problems(sandbox: Sandbox) -> None:
    sandbox.program("Thing('a', invalid=1)\nThing('b', invalid=1)")
    result = sandbox.run("preview")
    assert result.code == 1
    assert result.err.count("is not accepted") == 2


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["up"], "--yes must be passed", 2),
        (["destroy"], "--yes must be passed", 2),
        (["stack", "init"], "already exists", 1),
        (["stack", "output", "nothing"], "does not have output property 'nothing'", 1),
        (["config", "get", "nothing"], "configuration key 'nothing' not found", 1),
    ],
)
def test_wrong_use_is_one_sentence_and_the_clis_exit_code(
    sandbox: Sandbox, arguments: list[str], words: str, code: int
) -> None:
    result = sandbox.run(*arguments)
    assert (result.code, result.err.count("\n")) == (code, 1)
    assert words in result.err


def test_expect_no_changes_fails_only_when_there_are_some(sandbox: Sandbox) -> None:
    sandbox.program("Thing('a')")
    assert sandbox.run("preview", "--expect-no-changes").code == 7
    sandbox.up_ok()
    assert sandbox.run("preview", "--expect-no-changes").code == 0


def test_a_stack_that_does_not_exist_or_is_not_empty_is_named(sandbox: Sandbox) -> None:
    sandbox.up_ok("Thing('a')")
    assert "still has resources" in sandbox.run("stack", "rm", "--yes").err
    sandbox.state_file.unlink()
    result = sandbox.up()
    assert "no stack named 'dev' found" in result.err
    assert result.code == 6
