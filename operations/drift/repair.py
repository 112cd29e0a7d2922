"""`up --repair`: repairs what drifted, in the program's own order, and changes nothing else.

The findings are written into the state, resource by resource, and an ordinary `up` does the rest: it sees a difference
exactly there, and drains, waits and continues as in any deployment. A run that is killed in the middle leaves a state
with the differences; the next `up` repairs them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from operations.context import CommandContext, check_settings
from operations.drift.detect import detect
from operations.drift.report import DriftReport
from operations.errors import BerthError
from operations.inspect.compare import CONTAINER, Finding
from operations.kolla.images.published import follow_other_hosts
from operations.locks import StackLock
from operations.pulumi import recovery, state
from operations.pulumi.events import QUIET_OPS, Step
from operations.pulumi.follow import failure, follow
from operations.pulumi.session import Session


@dataclass(frozen=True)
class Repair:
    """The drift before, what was changed, and the drift after."""

    before: DriftReport
    changed: list[Step]
    after: DriftReport

    def as_json(self) -> dict[str, object]:
        return {
            **self.after.as_json(),
            "repaired": [one.as_json() for one in self.before.findings if one not in self.after.findings],
            "changed": [{"urn": step.urn, "op": step.op} for step in self.changed],
        }


def repair(run: CommandContext) -> Repair:
    """Detect, show what will be repaired, confirm, repair, detect again."""
    check_settings(run.stack_file)
    with StackLock(run.workspace.stack_dir(run.stack), run.stack, "up --repair", run.log) as lock:
        session = run.session()
        recovery.resume(session, lock.interrupted, run.log)
        follow_other_hosts(run, session)
        before = detect(session)
        before.show(run.console)
        repairable = [one for one in before.findings if one.mark or _is_extra(one)]
        if not repairable:
            return Repair(before, [], before)
        _refuse_with_changes(session)
        if run.confirm and not run.stack_file.is_lab and not run.yes and not run.confirm("Repair this?"):
            raise BerthError(f"Nothing was changed on {run.stack}.")
        export = session.export()
        _remove({one.name for one in repairable if _is_extra(one)}, export, session.stack)
        session.import_state(marked(export, repairable))
        outcome = follow(
            session,
            ["up", "--yes", "--skip-preview"],
            lock,
            console=run.console,
            title=f"Repairing {run.stack}",
            expected=None,
        )
        if outcome.failed:
            raise failure(f"Repairing {run.stack}", outcome)
        return Repair(before, [step for step in outcome.view.finished if step.is_change], detect(session))


def _is_extra(finding: Finding) -> bool:
    return finding.kind == CONTAINER and not finding.resource


def _refuse_with_changes(session: Session) -> None:
    """Refuse a repair while `up` has other changes to make."""
    text = session.ask("preview", "--json")
    steps = json.loads(text[text.index("{") :]).get("steps") or []
    names = [step["urn"].rpartition("::")[2] for step in steps if step["op"] not in QUIET_OPS]
    if names:
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        raise BerthError(
            f"An up of {session.stack} is due ({shown}), and a repair must change nothing but what drifted: run "
            f"./berth up --stack {session.stack} first, or revert the new settings."
        )


def _remove(names: set[str], export: Mapping[str, Any], stack: str) -> None:
    """Remove containers that have the stack's label and are not in its state."""
    for orphan in recovery.orphans(export, stack) if names else ():
        if orphan.name in names and orphan.type == state.CONTAINER:
            orphan.remove()


def marked(export: Mapping[str, Any], findings: Iterable[Finding]) -> dict[str, Any]:
    """The deployment's state with the findings written into it."""
    document: dict[str, Any] = json.loads(json.dumps(export))
    resources = {one["urn"]: one for one in document["deployment"]["resources"] if not one.get("delete")}
    gone = {finding.resource for finding in findings if finding.mark == state.GONE}
    _forget(document["deployment"], gone)
    for finding in findings:
        resource = resources.get(finding.resource)
        if resource is None or finding.resource in gone:
            continue
        if "id" in finding.mark:
            _rerun_gates(resource, resources)
        state.mark(resource, finding.mark)
    return document


def _forget(deployment: dict[str, Any], gone: set[str]) -> None:
    """Remove resources, and every reference to them."""
    deployment["resources"] = [one for one in deployment["resources"] if one["urn"] not in gone or one.get("delete")]
    for one in deployment["resources"]:
        if one.get("dependencies"):
            one["dependencies"] = [urn for urn in one["dependencies"] if urn not in gone]
        for key, urns in (one.get("propertyDependencies") or {}).items():
            one["propertyDependencies"][key] = [urn for urn in urns or [] if urn not in gone]


def _rerun_gates(container: Mapping[str, Any], resources: Mapping[str, dict[str, Any]]) -> None:
    """Run the gates before a replaced container again: it is drained, and the others serve."""
    for urn in container.get("dependencies") or []:
        gate = resources.get(urn, {})
        if gate.get("type") == state.REMOTE_COMMAND and gate["inputs"].get("triggers"):
            gate["inputs"]["triggers"] = []
