"""A stack whose state is in files, in an object store or in PostgreSQL: one person's, and two people's at once."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable

import pytest

from operations.inspect import verified
from tests.backends.conftest import Backend, Person, ended, resources

People = Callable[[str], Person]

ALSO_S3 = pytest.param("s3", marks=pytest.mark.full)
"""Locks and faults are the same code for both remote backends: each run tries one of them."""


def test_a_stack_lives_in_any_backend(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = people("ann")
    session = ann.session(monkeypatch)
    assert not session.is_deployed
    assert "Done in" in ann.up()
    assert session.is_deployed
    assert session.outputs()["last"].strip() == "last"
    assert len(session.outputs(show_secrets=True)["password"]) == 12
    assert set(resources(session.ask("stack", "export"))) >= {"password", "first", "slow", "last"}
    session.ask("preview", "--expect-no-changes")
    assert "update" in session.ask("stack", "history")
    down = ann.berth("down", "--yes")
    assert down.code == 0 and not session.is_deployed, down.said


@pytest.mark.parametrize("backend", ["file", "postgresql", ALSO_S3], indirect=True)
def test_who_holds_the_state_is_named_to_everybody_else(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, ben = people("ann"), people("ben")
    first = ann.start_up()
    refused = ben.berth("up")
    assert refused.code == 1
    held = f"The state of {ben.stack} is locked by {os.environ.get('USER', 'root')}@{socket.gethostname()} (pid "
    assert held in refused.said and " since 20" in refused.said and "pulumi cancel --yes" in refused.said
    assert "Traceback" not in refused.said and "delete the lock file" not in refused.said
    ann.wait.unlink()
    assert ended(first).code == 0
    session = ben.session(monkeypatch)
    made = verified.fingerprint(session)
    assert "No change" in ben.up()
    assert session.locks() == [] and verified.fingerprint(session) == made
    verified.save_last_verify(session, made)
    seen = verified.read(ann.session(monkeypatch))
    assert seen is not None and seen.state == made, "what one deploy host has verified, the other one knows"


@pytest.mark.parametrize("backend", ["file", "postgresql", ALSO_S3], indirect=True)
def test_a_run_whose_processes_are_gone_keeps_no_lock_and_no_pending_steps(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = people("ann")
    first = ann.start_up()
    holder = json.loads((ann.workspace.stack_dir(ann.stack) / "lock").read_text())
    for pid in (first.pid, holder["cli"]["pid"]):
        os.kill(pid, signal.SIGKILL)
    first.wait()
    ann.wait.unlink()
    session = ann.session(monkeypatch)
    assert json.loads(session.ask("stack", "export"))["deployment"]["pending_operations"]
    said = ann.up()
    assert "pending_operations" not in json.loads(session.ask("stack", "export"))["deployment"]
    assert f"The last 'berth up' of {ann.stack} did not end in order" in said
    assert "is dead: its lock on the state was released" in said


@pytest.mark.parametrize("backend", ["postgresql", ALSO_S3], indirect=True)
def test_a_backend_that_fails_under_a_run_costs_nothing(people: People, backend: Backend) -> None:
    assert backend.server is not None
    ann = people("ann")
    first = ann.start_up()
    backend.server.stop()
    try:
        ann.wait.unlink()
        failed = ended(first)
        gone = ann.berth("up")
    finally:
        backend.server.start()
    assert failed.code == gone.code == 1
    assert f"The state of {ann.stack} could not be saved: the state backend " in failed.said
    assert "connection refused" in failed.said and f"./berth up --stack {ann.stack} continues" in failed.said
    assert "The state backend " in gone.said and "Nothing was changed" in gone.said
    said = ann.up()
    assert "its lock on the state was released" in said and "Done in" in said
    assert "No change" in ann.up()


@pytest.mark.parametrize("backend", ["file"], indirect=True)
@pytest.mark.parametrize("kind", ["s3", pytest.param("postgresql", marks=pytest.mark.full)])
def test_a_stack_moves_from_files_to_another_backend(
    people: People, made: Callable[[str], Backend], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = people("ann")
    ann.up()
    before = ann.session(monkeypatch)
    state, password = ann.root / "state.json", before.outputs(show_secrets=True)["password"]
    before.ask("stack", "export", "--file", str(state))
    assert password not in state.read_text()
    ann.move(made(kind))
    after = ann.session(monkeypatch)
    after.ensure_stack()
    after.ask("stack", "import", "--file", str(state))
    after.ask("preview", "--expect-no-changes")
    assert after.outputs(show_secrets=True)["password"] == password
    assert "No change" in ann.up()
