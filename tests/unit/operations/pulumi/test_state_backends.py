"""What `berth` makes of a state backend that is not a folder: its locks, its failures, runs of other deploy hosts."""

from __future__ import annotations

import dataclasses
import json
import socket
from typing import Any

import pytest

from operations.drift.detect import under_way
from operations.errors import BerthError
from operations.pulumi import recovery
from operations.pulumi.locks import StateLock, StateLocked, named_in
from operations.pulumi.session import Session
from tests.unit.conftest import Checkout, Docker

LOCKED = """\
error: could not create stack: the stack is currently locked by {count} lock(s). Either wait for the other process(es) \
to end or delete the lock file with `pulumi cancel`.
"""
S3 = (
    "  s3://states/.pulumi/locks/organization/berth/exp/7e31.json?endpoint=http%3A%2F%2F127.0.0.1%3A48651&region=x"
    ": created by {user}@{host} (pid {pid}) at {since}\n"
)
SINCE = "2026-11-30T09:04:08Z"
S3_GONE = (
    'read ".pulumi/meta.yaml": blob (key ".pulumi/meta.yaml") (code=Unknown): operation error S3: GetObject, exceeded '
    "maximum number of attempts, 3, https response error StatusCode: 0, RequestID: , HostID: , request send failed, "
    'Get "http://127.0.0.1:48651/states/.pulumi/meta.yaml": dial tcp 127.0.0.1:48651: connect: connection refused'
)
POSTGRESQL_GONE = (
    'unable to open state database "postgres://berth:[credential]@127.0.0.1:43471/states?sslmode=disable": failed to '
    "ping PostgreSQL: dial tcp 127.0.0.1:43471: connect: connection refused"
)
UNSAVED = (
    "post-step event returned an error: failed to save snapshot: An IO error occurred while writing the new snapshot "
    'file: blob (key ".pulumi/stacks/berth/exp.json") (code=Unknown): dial tcp 127.0.0.1:43471: connect: '
    "connection refused"
)


def locked(*holders: tuple[str, str, int]) -> str:
    lines = [S3.format(user=user, host=host, pid=pid, since=SINCE) for user, host, pid in holders]
    return LOCKED.format(count=len(lines)) + "".join(lines)


@pytest.fixture
def elsewhere(checkout: Checkout) -> Session:
    """The stack dev, deployed, its state in an object store."""
    checkout.install_pulumi()
    checkout.workspace = dataclasses.replace(checkout.workspace, backend="postgres://u:pw@db.test/states?sslmode=x")
    checkout.answer("stack ls", out=json.dumps([{"name": "organization/berth/dev"}]))
    checkout.answer("stack export", out=json.dumps({"deployment": {"resources": []}}))
    checkout.answer("stack init", err="error: stack 'organization/berth/dev' already exists\n", code=255)
    return checkout.session()


def test_a_refusal_names_every_lock() -> None:
    assert named_in(locked(("ann", "host-a", 3619), ("ben", "host-b", 7))) == [
        StateLock(3619, "ann", "host-a", SINCE),
        StateLock(7, "ben", "host-b", SINCE),
    ]
    assert named_in("error: something else") == []


def test_a_change_that_is_refused_for_a_lock_says_whose(elsewhere: Session) -> None:
    refused = elsewhere.refusal(locked(("ann", "host-a", 3619)))
    assert isinstance(refused, StateLocked)
    assert str(refused).startswith(f"The state of dev is locked by ann@host-a (pid 3619) since {SINCE}: wait for it")


def test_a_living_lock_is_kept_and_a_dead_one_is_released(
    checkout: Checkout, elsewhere: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    checkout.answer("stack init", err=locked(("ann", "host-a", 1), ("ben", socket.gethostname(), 2)), code=255)
    monkeypatch.setattr(StateLock, "surely_dead", lambda lock: lock.hostname != "host-a")
    with pytest.raises(StateLocked, match="locked by ann@host-a"):
        recovery.resume(elsewhere, None, said.append)
    assert "cancel" not in checkout.words() and not said
    checkout.answer("stack init", err=locked(("ben", socket.gethostname(), 2)), code=255)
    recovery.resume(elsewhere, None, said.append)
    assert "cancel" in checkout.words() and "ben@" in said[0]


def test_what_another_deploy_host_left_half_made_is_removed(
    checkout: Checkout, docker: Docker, elsewhere: Session
) -> None:
    said: list[str] = []
    docker.answers({"ps --all": "1a berth-dev-node1\n"})
    recovery.resume(elsewhere, None, said.append)
    assert not said, "a state without operations under way was left in order"
    pending = [{"type": "creating", "resource": {"urn": "urn::node1"}}]
    checkout.answer("stack export", out=json.dumps({"deployment": {"pending_operations": pending}}))
    recovery.resume(elsewhere, None, said.append)
    assert "rm --force --volumes 1a" in docker.calls
    assert checkout.words()[-1] == "stack import", "which forgets operations under way"
    assert said[0].startswith("A change of dev by another deploy host did not end")


def test_what_somebody_makes_at_this_moment_is_left_alone(
    checkout: Checkout, docker: Docker, elsewhere: Session
) -> None:
    docker.answers({"ps --all": "1a berth-dev-node1\n"})
    checkout.answer("stack init", err=locked(("ann", "host-a", 1)), code=255)
    with pytest.raises(StateLocked):
        recovery.clear_unfinished(elsewhere, print)
    assert not [call for call in docker.calls if call.startswith("rm")]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (S3_GONE, "The state backend postgres://db.test/states fails (dial tcp 127.0.0.1:48651: connect: connection"),
        (POSTGRESQL_GONE, "The state backend postgres://db.test/states fails (dial tcp 127.0.0.1:43471: connect: con"),
        (UNSAVED, "The state of dev could not be saved: the state backend postgres://db.test/states fails (dial tcp"),
    ],
    ids=["S3", "PostgreSQL", "in the middle of a run"],
)
def test_a_backend_that_fails_is_one_sentence_without_credentials(elsewhere: Session, text: str, sentence: str) -> None:
    refused = elsewhere.refusal(f"error: {text}")
    assert type(refused) is BerthError
    assert str(refused).startswith(sentence) and "\n" not in str(refused) and "pw" not in str(refused)


def test_drift_says_which_operations_are_under_way() -> None:
    wanted: Any = type("Wanted", (), {"pending": ["registry-node1"]})()
    assert under_way(wanted)[0].startswith("operations on registry-node1 are under way or never ended")
    wanted.pending = []
    assert under_way(wanted) == []
