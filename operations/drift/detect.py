"""Queries every node and service at once, and compares."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from operations import ssh
from operations.drift import object_store
from operations.drift.report import DriftReport
from operations.inspect import collect, compare
from operations.inspect.checks import WARN_DAYS
from operations.inspect.collect import ClusterSnapshot
from operations.inspect.compare import Difference, Finding, Unknown
from operations.inspect.expected import Desired
from operations.inspect.probe import Probe
from operations.inspect.reports import Report
from operations.locks import Holder
from operations.pulumi.locks import locks
from operations.pulumi.session import Session

SECONDS = 60.0
"""Timeout per node: a hundred of them at once keep this machine busy for a while."""


def detect(session: Session) -> DriftReport:
    """Differences from the stack's state, and what could not be checked. BerthError for a stack without state."""
    desired = collect.desired(session)
    probe = Probe(session.stack, str(desired.outputs["registry"]), desired.address, desired.machines, SECONDS)
    with ThreadPoolExecutor(1) as beside:
        stored = beside.submit(lambda: list(object_store.differences(desired)))
        reports = probe.ask(ssh.hosts(session.workspace, desired.outputs))
    return _report(session, desired, reports, stored.result())


def drift_in(session: Session, snapshot: ClusterSnapshot) -> DriftReport:
    """The same for a snapshot that was taken already."""
    return _report(session, snapshot.desired, snapshot.reports, object_store.differences(snapshot.desired))


def _report(
    session: Session, desired: Desired, reports: Mapping[str, Report], stored: Iterable[Difference]
) -> DriftReport:
    found: list[Difference] = [
        one for name, machine in desired.machines.items() for one in compare.of_machine(name, machine, reports[name])
    ]
    found += stored
    return DriftReport(
        session.stack,
        [one for one in found if isinstance(one, Finding)],
        [one for one in found if isinstance(one, Unknown)],
        [*(in_motion(session) or under_way(desired)), *ending(desired)],
    )


def ending(desired: Desired) -> list[str]:
    """Certificates in the state that expire soon."""
    found = []
    for resource in desired.resources:
        end = (resource.get("outputs") or {}).get("validityEndTime")
        days = (datetime.fromisoformat(str(end)) - datetime.now(UTC)).days if end else WARN_DAYS
        if days < WARN_DAYS:
            name = str(resource["urn"]).rpartition("::")[2]
            found.append(f"The certificate {name} ends in {days} days; ./berth up renews it.")
    return found


def under_way(desired: Desired) -> list[str]:
    """Pending operations in the state: of a change that runs elsewhere, or that never ended."""
    if not desired.pending:
        return []
    return [f"operations on {', '.join(desired.pending)} are under way or never ended: findings may be temporary."]


def in_motion(session: Session) -> list[str]:
    """Who is changing the stack now, or left its lock: findings may be temporary."""
    file = session.workspace.stack_dir(session.stack) / "lock"
    berth = Holder.parse(file.read_text(encoding="utf-8")) if file.exists() else None
    # Other backends name a lock only to a change: see `under_way`.
    locked = locks(session.workspace.locks(session.stack)) if session.workspace.has_file_backend else []
    warnings = [f"the state is locked by {lock}" for lock in locked if not lock.surely_dead()]
    if berth and berth.berth.pid == os.getpid():
        return []  # a repair detects while it holds the lock itself
    if berth and not berth.berth.is_dead:
        warnings.insert(
            0, f"'berth {berth.command}' (process {berth.berth.pid}) changes {session.stack} at this moment"
        )
    elif berth:
        warnings = [f"the last 'berth {berth.command}' did not end in order, and the next one continues from there"]
    return [f"{text}: findings may be temporary." for text in warnings]
