"""Killed runs, locks and damaged files."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.engine.conftest import Sandbox

ENDLESS = "done = Thing('done')\nThing('hangs', sleep=30, color=done.serial)"


def kill_while_running(sandbox: Sandbox, call: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a run, kill it hard as soon as `call` has begun."""
    process = sandbox.start(*arguments)
    deadline = time.monotonic() + 30
    while call not in sandbox.world.calls():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate()
    return process


@pytest.mark.usefixtures("slow_key")
def test_a_killed_run_is_named_and_continued_by_a_plain_run(sandbox: Sandbox) -> None:
    sandbox.program(ENDLESS)
    process = kill_while_running(sandbox, "create hangs", "up", "--yes", "--skip-preview")
    assert sandbox.journal.exists()
    assert len(list(sandbox.locks.iterdir())) == 1, "the lock stays as long as the journal does"
    assert "done" not in sandbox.resources()

    shown = sandbox.run("preview", "--json")
    assert {step["urn"].split("::")[3] for step in shown.json["steps"] if step["op"] == "create"} == {"hangs"}
    assert sandbox.journal.exists(), "a preview only reads"

    sandbox.world.forget_calls()
    sandbox.program(ENDLESS.replace("sleep=30", "sleep=0"))
    result = sandbox.up()
    assert result.code == 0, result.err
    assert f"pid {process.pid}" in result.err
    assert "(hangs): creating was interrupted before its outcome was known; it is tried again" in result.err
    assert sandbox.world.calls() == ["create hangs", "close"], "what was finished is not done again"
    assert not sandbox.journal.exists()
    assert not list(sandbox.locks.iterdir())
    assert sandbox.preview() == {}


@pytest.mark.usefixtures("slow_key")
def test_a_run_killed_in_its_deletions_is_continued(sandbox: Sandbox) -> None:
    sandbox.up_ok("a = Thing('a')\nThing('b', color=a.serial)\nThing('c', opts=O(depends_on=[a]))")
    raw = sandbox.state_file.read_text().replace('"inputs":{"size":1}', '"inputs":{"size":1,"sleep":20}')
    sandbox.state_file.write_text(raw)
    kill_while_running(sandbox, "delete c", "destroy", "--yes")
    sandbox.state_file.write_text(sandbox.state_file.read_text())
    result = sandbox.run("cancel", "--yes")
    assert result.code == 0
    assert "deleting was interrupted" in result.err
    sandbox.state_file.write_text(sandbox.state_file.read_text().replace('"sleep":20', '"sleep":0'))
    assert sandbox.run("destroy", "--yes").code == 0
    assert sandbox.world.names() == []
    assert sandbox.resources() == {}


@pytest.mark.usefixtures("slow_key")
def test_the_first_interrupt_lets_running_operations_finish(sandbox: Sandbox) -> None:
    sandbox.program("a = Thing('a', sleep=1)\nThing('b', color=a.serial)")
    process = sandbox.start("up", "--yes", "--skip-preview")
    while "create a" not in sandbox.world.calls():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "interrupted" in err
    assert "a" in sandbox.resources()
    assert "create b" not in sandbox.world.calls()
    assert not sandbox.journal.exists()
    assert not list(sandbox.locks.iterdir())


def test_a_foreign_lock_stops_the_run_and_names_its_holder(sandbox: Sandbox) -> None:
    sandbox.program("Thing('a')")
    sandbox.locks.mkdir(parents=True)
    lock = sandbox.locks / "11111111-1111-1111-1111-111111111111.json"
    lock.write_text('{"pid":4,"username":"eve","hostname":"else","timestamp":"2026-01-01T00:00:00Z"}')
    result = sandbox.up()
    assert result.code == 1
    assert "locked by eve@else (pid 4) since 2026-01-01T00:00:00Z" in result.err
    assert "cancel --yes" in result.err
    assert list(sandbox.locks.iterdir()) == [lock], "the own lock is taken back"
    assert sandbox.run("preview").code == 0, "a preview needs no lock"
    assert sandbox.run("cancel", "--yes").code == 0
    sandbox.up_ok()


@pytest.mark.parametrize(
    ("change", "released"), [({}, True), ({"boot": "another"}, False), ({"hostname": "another"}, False)]
)
def test_a_lock_is_released_only_when_its_process_is_surely_gone(
    sandbox: Sandbox, change: dict[str, str], released: bool
) -> None:
    sandbox.program("Thing('a')")
    gone = subprocess.Popen(["true"])
    gone.wait()
    sandbox.locks.mkdir(parents=True)
    content = {
        "pid": gone.pid,
        "username": "root",
        "hostname": socket.gethostname(),
        "timestamp": "2026-01-01T00:00:00Z",
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "pidNamespace": str(Path("/proc/self/ns/pid").readlink()),
    }
    (sandbox.locks / "1.json").write_text(json.dumps({**content, **change}))
    assert (sandbox.up().code == 0) is released


def test_a_lock_of_a_living_process_is_never_released(sandbox: Sandbox) -> None:
    from engine.lock import Lock, StackLocked

    first = Lock(sandbox.locks)
    first.acquire()
    with pytest.raises(StackLocked, match=f"pid {os.getpid()}"):
        Lock(sandbox.locks).acquire()
    first.release()
    Lock(sandbox.locks).acquire()


@pytest.mark.parametrize("keep", [0, 10, 300])
def test_a_state_file_cut_off_is_refused_with_the_name_of_its_backup(sandbox: Sandbox, keep: int) -> None:
    sandbox.up_ok("Thing('a')")
    sandbox.state_file.write_bytes(sandbox.state_file.read_bytes()[:keep])
    result = sandbox.run("preview")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "dev.json.bak" in result.err
    assert sandbox.state_file.with_name("dev.json.bak").exists()


def test_a_journal_line_cut_off_by_the_crash_is_ignored(sandbox: Sandbox) -> None:
    from engine.checkpoint import fingerprint

    sandbox.up_ok("Thing('a')")
    base = fingerprint(sandbox.state_file.read_bytes())
    begin = {"begin": 1, "operation": "creating", "urn": sandbox.resources()["a"]["urn"]}
    lines = [json.dumps({"base": base}), json.dumps(begin), '{"end": 1, "sl']
    sandbox.journal.write_text("\n".join(lines))
    result = sandbox.up()
    assert result.code == 0, result.err
    assert "creating was interrupted" in result.err
    assert not sandbox.journal.exists()


def test_a_journal_that_was_folded_already_is_not_folded_twice(sandbox: Sandbox) -> None:
    from engine.checkpoint import fingerprint

    sandbox.up_ok("Thing('a')")
    mark = fingerprint(sandbox.state_file.read_bytes())
    lines = [{"base": "before"}, {"end": None, "slots": {"0": None}}, {"folded": mark}]
    sandbox.journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    sandbox.up_ok()
    assert "proj-dev" in sandbox.resources()


def test_a_journal_of_another_state_is_refused_and_set_aside_by_cancel(sandbox: Sandbox) -> None:
    sandbox.up_ok("Thing('a')")
    sandbox.journal.write_text('{"base": "other"}\n{"end": null, "slots": {"0": null}}\n')
    result = sandbox.up()
    assert result.code == 1
    assert "left the journal" in result.err
    assert sandbox.run("cancel", "--yes").code == 0
    assert sandbox.up().code == 0


def test_bytes_written_grow_with_the_number_of_steps(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine import journal

    written: list[int] = []
    original = journal.Journal.remove
    monkeypatch.setattr(
        journal.Journal, "remove", lambda self: (written.append(self._path.stat().st_size), original(self))[1]
    )
    sizes = {}
    for count in (20, 80):
        sandbox.up_ok(f"for n in range({count}):\n    Thing(f't{{n}}', text='x' * 200)")
        sizes[count] = written[-1] + sandbox.state_file.stat().st_size
        assert sizes[count] <= 3 * sandbox.state_file.stat().st_size
        sandbox.up_ok("")
    assert sizes[80] < 5 * sizes[20]
