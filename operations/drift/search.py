"""Asks every node and service at once, and compares."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from operations import access, differences, look
from operations.differences import Difference, Finding, Unknown
from operations.drift import store
from operations.drift.report import DriftReport
from operations.engine_run import Session
from operations.probe import Probe


def look_for_drift(session: Session) -> DriftReport:
    """What differs from the stack's state, and what could not be asked. Raises BerthError for a stack without state."""
    wanted = look.wanted(session)
    probe = Probe(session.stack, str(wanted.outputs["registry"]), wanted.address, wanted.machines)
    with ThreadPoolExecutor(1) as beside:
        stored = beside.submit(lambda: list(store.differences(wanted)))
        reports = probe.ask(access.doors(session.workspace, wanted.outputs))
    found: list[Difference] = [
        one for name, machine in wanted.machines.items() for one in differences.of_machine(name, machine, reports[name])
    ]
    found += stored.result()
    return DriftReport(
        session.stack,
        [one for one in found if isinstance(one, Finding)],
        [one for one in found if isinstance(one, Unknown)],
    )
