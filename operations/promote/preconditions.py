"""The preconditions of a promotion: a verified, healthy source without drift, and stacks that nobody changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from operations.drift.detect import drift_in
from operations.errors import BerthError
from operations.inspect import verified
from operations.inspect.checks import answers
from operations.inspect.collect import ClusterSnapshot, collect
from operations.inspect.verified import Verified
from operations.locks import StackLock
from operations.pulumi.backend import not_deployed
from operations.pulumi.session import Session

COMMAND = "promote"
SHOWN = 5
"""Reasons that are listed; one is enough to begin with."""


@dataclass(frozen=True)
class CheckedSource:
    """A source stack that is unchanged since its last successful verify."""

    verified: Verified
    outputs: Mapping[str, Any]
    versions: Mapping[str, str]
    """What runs, by service."""


@contextmanager
def stack_locked(session: Session) -> Iterator[None]:
    """Hold the stack's lock; refused while somebody changes the stack, or if its last deployment never ended."""
    stack = session.stack
    if not session.is_deployed:
        raise not_deployed(session.workspace, stack)
    unfinished = BerthError(
        f"The last deployment of {stack} never ended: ./berth up --stack {stack} finishes it first."
    )
    with StackLock(session.workspace.stack_dir(stack), stack, COMMAND) as lock:
        if lock.interrupted is not None and lock.interrupted.command != COMMAND:
            # What a killed run left is for the next `up` to clear up: its record stays.
            lock.write(lock.interrupted)
            lock.unfinished = True
            raise unfinished
        held = session.locks()
        if held:
            raise BerthError(
                f"The state of {stack} is locked by {held[0]}: wait for it to end, or, if it is dead, "
                f"./berth up --stack {stack}."
            )
        _refuse_pending(session)
        yield


def _refuse_pending(session: Session) -> None:
    """Refuse a state with pending operations, whose outcome is unknown; it is read without its secrets."""
    stack = session.stack
    pending = (session.export().get("deployment") or {}).get("pending_operations")
    if pending:
        urn = str((pending[0].get("resource") or {}).get("urn", "")).rpartition("::")[2]
        raise BerthError(
            f"{stack} has operations that never ended ({len(pending)}, the first on {urn or 'a resource'}): "
            f"./berth up --stack {stack} clears them up."
        )


def check(session: Session) -> CheckedSource:
    """Check all preconditions of a source, the cheapest first."""
    stack, again = session.stack, f"./berth verify --stack {session.stack}"
    last = verified.read(session)
    if last is None:
        raise BerthError(f"{stack} was never verified: {again}, and promote what it has verified.")
    if last.state != verified.fingerprint(session):
        raise BerthError(f"{stack} was deployed after its last green verify ({last.time}): {again} first.")
    snapshot = collect(session)
    _healthy(stack, snapshot)
    _as_deployed(session, snapshot)
    return CheckedSource(last, snapshot.desired.outputs, dict(_versions(snapshot)))


def _healthy(stack: str, snapshot: ClusterSnapshot) -> None:
    wrong = [
        f"{answer.question} on {answer.node}: {answer.answer}"
        for answer in answers(snapshot.desired, snapshot.reports, snapshot.endpoints)
        if not answer.ok
    ]
    if wrong:
        raise BerthError(
            _listed(f"{stack} is not healthy, so there is nothing to promote", wrong, "berth verify", stack)
        )


def _as_deployed(session: Session, snapshot: ClusterSnapshot) -> None:
    found = drift_in(session, snapshot)
    differs = [f"{one.node}: {one.kind} {one.sentence}" for one in found.findings]
    differs += [f"{one.node} could not be checked: {one.reason}" for one in found.unknown]
    if differs:
        raise BerthError(_listed(f"{session.stack} has drifted from its state", differs, "berth drift", session.stack))


def _listed(headline: str, lines: list[str], command: str, stack: str) -> str:
    more = [f"  and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    remedy = (
        f"./{command} --stack {stack} shows all; ./berth up --repair --stack {stack} repairs it, then verify again."
    )
    return "\n".join([f"{headline}:", *(f"  {line}" for line in lines[:SHOWN]), *more, remedy])


def _versions(snapshot: ClusterSnapshot) -> Iterator[tuple[str, str]]:
    for name, machine in snapshot.desired.machines.items():
        for service in machine.services:
            fact = snapshot.reports[name].containers.get(service.name)
            if fact is not None and fact.version:
                yield service.service, fact.version
