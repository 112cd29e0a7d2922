"""One change at a time; a killed run is told from one that goes on."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config.paths import ROOT
from operations.errors import BerthError
from operations.locks import Holder, Process, StackLock, exclusive, session_of
from operations.pulumi.recovery import end_session
from tests.unit.conftest import Checkout, Docker

BERTH = """
import sys
from pathlib import Path
from types import SimpleNamespace
import operations.host.prepare
from operations import cli
from operations.workspace import Workspace
operations.host.prepare.run = lambda *a, **k: None
Workspace.current = classmethod(lambda cls: Workspace(Path(sys.argv[1]), Path(sys.argv[2])))
cli.main(sys.argv[3:])
"""


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def start(checkout: Checkout, *arguments: str, output: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    """`berth` in a process of its own, in a session of its own."""
    workspace = checkout.workspace
    argv = [sys.executable, "-c", BERTH, str(workspace.root), str(workspace.home), *arguments]
    root = ROOT
    return subprocess.Popen(argv, cwd=root, stdout=output, stderr=output, start_new_session=True, text=True)


def leave_lock(checkout: Checkout, **changes: Any) -> Path:
    """A lock as the CLI leaves it on the state when it is killed."""
    locks = checkout.workspace.locks("dev")
    locks.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC).isoformat()
    known = {"pid": 1, "username": "ops", "hostname": socket.gethostname(), "timestamp": now}
    path = locks / f"{uuid.uuid4()}.json"
    path.write_text(json.dumps({**known, **changes}))
    return path


def dead_process() -> Process:
    child = subprocess.Popen(["true"])
    child.wait()
    return dataclasses.replace(Process.of(os.getpid()), pid=child.pid)


def test_a_second_change_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with StackLock(tmp_path, "dev", "up"):
        message = f"Stack dev is being changed by 'berth up' (process {os.getpid()}): wait for it to end."
        with pytest.raises(BerthError) as refused, StackLock(tmp_path, "dev", "down"):
            raise AssertionError("both hold the lock")
        assert str(refused.value) == message
    with StackLock(tmp_path, "dev", "down") as lock:
        assert lock.interrupted is None, "the first one ended in order"


def test_a_killed_run_is_recognised_once_all_its_processes_are_gone(tmp_path: Path) -> None:
    holder = Holder("up", dead_process(), dead_process())
    (tmp_path / "lock").write_text(json.dumps(dataclasses.asdict(holder)))
    with StackLock(tmp_path, "dev", "up") as lock:
        assert lock.interrupted == holder


def test_a_reused_process_number_is_not_taken_for_the_run() -> None:
    own = Process.of(os.getpid())
    assert not own.is_dead
    assert dataclasses.replace(own, started=own.started - 1).is_dead
    assert dataclasses.replace(own, boot="another").is_dead


def test_a_living_cli_of_a_killed_run_is_waited_for_and_then_named(tmp_path: Path) -> None:
    cli = subprocess.Popen(["sleep", "1"])
    holder = Holder("up", dead_process(), Process.of(cli.pid))
    (tmp_path / "lock").write_text(json.dumps(dataclasses.asdict(holder)))
    with pytest.raises(BerthError, match=f"process {cli.pid}"), StackLock(tmp_path, "dev", "up", timeout=0):
        raise AssertionError("it still runs")
    threading.Thread(target=cli.wait, daemon=True).start()
    with StackLock(tmp_path, "dev", "up", timeout=20) as lock:
        assert lock.interrupted == holder


def test_what_a_killed_cli_left_running_is_ended_and_nothing_else(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "30"])
    script = "sleep 30 & echo $!; exec sleep 30"
    cli = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True, text=True)
    assert cli.stdout is not None
    plugin = int(cli.stdout.readline())
    leader = Process.of(cli.pid)
    cli.kill()
    cli.wait()
    assert session_of(leader) == [plugin]
    assert end_session(leader) and session_of(leader) == []
    assert bystander.poll() is None and not end_session(leader)
    bystander.kill()
    bystander.wait()


def test_the_lock_file_may_be_removed_by_its_holder(tmp_path: Path) -> None:
    directory = tmp_path / "stack"
    with StackLock(directory, "dev", "down"):
        (directory / "lock").unlink()
        directory.rmdir()
    with StackLock(directory, "dev", "up") as lock:
        assert lock.interrupted is None


def test_two_ups_at_once_end_in_one_refusal(checkout: Checkout, berth: Any) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    checkout.answer("up", sleep=30)
    first = start(checkout, "up")
    wait_for(lambda: "up" in checkout.words())
    ended = berth("up")
    assert ended.code == 1
    assert f"Stack dev is being changed by 'berth up' (process {first.pid})" in ended.err
    first.send_signal(signal.SIGKILL)
    first.wait()


def test_a_killed_berth_stops_its_cli_and_the_next_up_goes_on(checkout: Checkout, docker: Docker, berth: Any) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    checkout.answer("up", sleep=30)
    first = start(checkout, "up")
    wait_for(lambda: "up" in checkout.words() and (checkout.answers / "started").exists())
    first.send_signal(signal.SIGKILL)
    first.wait()
    wait_for((checkout.answers / "interrupted").exists)
    held = json.loads((checkout.workspace.stack_dir("dev") / "lock").read_text())
    leave_lock(checkout, pid=held["cli"]["pid"])
    docker.answers({"ps --all": "1a berth-dev-node1\n"})
    checkout.answer("up", events=[{"summaryEvent": {"resourceChanges": {"create": 1}}}])
    ended = berth("up")
    assert ended.code == 0, ended.err
    assert "The last 'berth up' of dev did not end in order: continuing where it stopped." in ended.out
    assert "its lock on the state was released" in ended.out
    assert "container berth-dev-node1 was half created and is removed" in ended.out
    assert checkout.words()[-5:] == ["cancel", *["stack export"] * 3, "up"]
    assert "rm --force --volumes 1a" in docker.calls


def test_an_interrupted_up_lets_its_cli_end_in_order(checkout: Checkout) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    checkout.answer("up", sleep=30)
    first = start(checkout, "up", output=subprocess.PIPE)
    wait_for((checkout.answers / "started").exists)
    first.send_signal(signal.SIGTERM)
    said, errors = first.communicate(timeout=20)
    assert first.returncode == 130 and (checkout.answers / "interrupted").exists()
    assert "Stopping: finishing current operations" in said and "KeyboardInterrupt" not in errors
    assert "Deploying dev was interrupted after" in errors and "failed" not in errors
    with StackLock(checkout.workspace.stack_dir("dev"), "dev", "up") as lock:
        assert lock.interrupted is None, "the run ended in order"


def test_a_cli_that_is_killed_alone_is_cleared_up_after_by_the_next_up(
    checkout: Checkout, docker: Docker, berth: Any
) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    checkout.answer("up", killed=True)
    ended = berth("up")
    assert ended.code == 1 and "it was killed (SIGKILL); run the command again" in ended.err
    checkout.answer("up")
    assert "The last 'berth up' of dev did not end in order" in berth("up").out


def test_a_lock_of_a_dead_process_of_this_host_is_named_and_released(
    checkout: Checkout, berth: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    checkout.answer("up", events=[{"summaryEvent": {"durationSeconds": 1, "resourceChanges": {"same": 1}}}])
    leave_lock(checkout, pid=dead_process().pid)
    monkeypatch.setattr("operations.pulumi.locks.ALL_PROCESSES", str(Path("/proc/self/ns/pid").readlink()))
    ended = berth("up")
    assert ended.code == 0, ended.err
    assert (
        f"ops@{socket.gethostname()} (pid " in ended.out and "is dead: its lock on the state was released" in ended.out
    )
    assert checkout.words() == ["cancel", "up"]


@pytest.mark.parametrize(
    "changes",
    [
        {"pid": os.getpid()},
        {"hostname": "elsewhere", "pid": 4194305},
        {"pid": 4194305, "namespaces": "not all in sight"},
    ],
    ids=[
        "alive",
        "of another host",
        "perhaps alive in a container that is not in sight",
    ],
)
def test_a_lock_whose_process_may_be_alive_is_named_and_kept(
    checkout: Checkout, berth: Any, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    own = str(Path("/proc/self/ns/pid").readlink())
    monkeypatch.setattr("operations.pulumi.locks.ALL_PROCESSES", "pid:[0]" if changes.pop("namespaces", "") else own)
    path = leave_lock(checkout, **changes)
    for words in (["up"], ["up", "--repair"]):
        ended = berth(*words)
        assert ended.code == 1
        assert "The state of dev is locked by ops@" in ended.err and "pulumi cancel" in ended.err
    assert path.exists() and checkout.words() == []


def test_a_lock_from_before_this_boot_is_of_a_dead_process(
    checkout: Checkout, berth: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    monkeypatch.setattr("operations.pulumi.locks.ALL_PROCESSES", "pid:[0]")
    checkout.answer("up", events=[{"summaryEvent": {"durationSeconds": 1, "resourceChanges": {"same": 1}}}])
    leave_lock(checkout, pid=os.getpid(), timestamp="2020-01-01T00:00:00+00:00")
    assert berth("up").code == 0
    assert checkout.words() == ["cancel", "up"]


def test_drift_is_looked_for_beside_a_change_and_says_so(
    checkout: Checkout, berth: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from operations.drift import detect
    from operations.drift.report import DriftReport

    checkout.install_pulumi()
    checkout.deploy()
    leave_lock(checkout, hostname="elsewhere")
    session: Any = type("S", (), {"workspace": checkout.workspace, "stack": "dev"})()
    with StackLock(checkout.workspace.stack_dir("dev"), "dev", "up") as lock:
        assert detect.in_motion(session) == [], "a repair looks while it holds the lock itself"
        other = subprocess.Popen(["sleep", "30"])
        lock.write(Holder("up", Process.of(other.pid)))
        warnings = detect.in_motion(session)
        other.kill()
        other.wait()
    assert f"'berth up' (process {other.pid}) changes dev at this moment" in warnings[0]
    assert "ops@elsewhere (pid 1)" in warnings[1]
    assert DriftReport("dev", warnings=warnings).exit_code == 0


def test_a_lock_that_another_has_is_waited_for_and_a_child_keeps_it(tmp_path: Path) -> None:
    file, met = tmp_path / "below" / "lock", list[str]()
    with exclusive(file, lambda: met.append("first")) as held:
        child = subprocess.Popen(["sleep", "0.5"], pass_fds=(held.fileno(),))
        started = time.monotonic()
    with exclusive(file, lambda: met.append("second")):
        assert time.monotonic() - started > 0.4
    assert met == ["second"] and child.wait() == 0


def test_a_lock_may_be_refused_instead_of_waited_for(tmp_path: Path) -> None:
    def refuse() -> None:
        raise BerthError("busy")

    def twice() -> None:
        with exclusive(tmp_path / "lock", refuse):
            raise AssertionError("two have it")

    with exclusive(tmp_path / "lock", refuse), pytest.raises(BerthError, match="busy"):
        twice()
