"""Steps and values as JSON, in the CLI's shapes, secrets hidden."""

from __future__ import annotations

from typing import Any

from engine import values
from engine.report import Step
from engine.state import ResourceState


def resource(state: ResourceState | None) -> dict[str, Any] | None:
    """A resource as events and the preview digest show it."""
    if state is None:
        return None
    shown: dict[str, Any] = {
        "type": state.type,
        "urn": state.urn,
        "custom": state.custom,
        "id": state.id,
        "parent": state.parent,
        "protect": state.protect,
        "inputs": values.redact(state.inputs),
        "outputs": values.redact(state.outputs),
        "provider": state.provider,
    }
    if state.dependencies:
        shown["dependencies"] = list(state.dependencies)
    return {key: value for key, value in shown.items() if value or key in ("custom", "inputs", "outputs")}


def detailed_diff(step: Step) -> dict[str, dict[str, Any]]:
    """For each changed property what kind of change it is."""
    before = step.old.inputs if step.old else {}
    after = step.new.inputs if step.new else {}
    found = {}
    for key in step.changed:
        top = key.split(".", 1)[0].split("[", 1)[0]
        kind = "update" if top in before and top in after else "add" if top in after else "delete"
        found[key] = {"kind": f"{kind}-replace" if key in step.replace_keys else kind, "inputDiff": True}
    return found


def metadata(step: Step) -> dict[str, Any]:
    """A step as the event log has it."""
    shown: dict[str, Any] = {
        "op": step.op,
        "urn": step.urn,
        "type": step.type,
        "old": resource(step.old),
        "new": resource(step.new),
        "logical": step.logical,
        "provider": (step.new or step.old or _NOTHING).provider,
    }
    if step.replace_keys:
        shown["keys"] = list(step.replace_keys)
    if step.changed:
        shown["diffs"] = list(step.changed)
        shown["detailedDiff"] = {
            key: {"diffKind": item["kind"], "inputDiff": item["inputDiff"]} for key, item in detailed_diff(step).items()
        }
    return shown


def digest_step(step: Step) -> dict[str, Any]:
    """A step as `preview --json` has it."""
    shown: dict[str, Any] = {"op": step.op, "urn": step.urn}
    provider = (step.new or step.old or _NOTHING).provider
    if provider:
        shown["provider"] = provider
    if step.old:
        shown["oldState"] = resource(step.old)
    if step.new:
        shown["newState"] = resource(step.new)
    if step.changed:
        shown["diffReasons"] = list(step.changed)
        shown["detailedDiff"] = detailed_diff(step)
    if step.replace_keys:
        shown["replaceReasons"] = list(step.replace_keys)
    return shown


_NOTHING = ResourceState(urn="", type="", custom=False)
