"""`preview --save-plan`: per resource its steps and what changes in its inputs, in the CLI's form.

The predicted state and the seed that the CLI adds are for `up --plan`, which this engine does not have.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from engine import values
from engine.provider import UNKNOWN, Properties
from engine.report import Step, Summary
from engine.state import ResourceState


class SavedPlan:
    """Collects the steps; the file holds secrets in plain text and only its owner reads it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._plans: dict[str, dict[str, Any]] = {}

    def started(self, step: Step, preview: bool) -> None:
        """Only outcomes matter here."""

    def done(self, step: Step, preview: bool) -> None:
        """Add the step to its resource's plan."""
        plan = self._plans.setdefault(step.urn, {"steps": []})
        plan["steps"].append(step.op)
        if step.new is not None:
            plan["goal"] = _goal(step.old, step.new)

    def failed(self, step: Step, message: str) -> None:
        """A plan that failed is not written."""

    def diagnostic(self, severity: str, urn: str, message: str) -> None:
        """Not part of a plan."""

    def outputs(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        """Not part of a plan."""

    def summary(self, summary: Summary) -> None:
        """Write the file."""
        if summary.failed:
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps({"resourcePlans": self._plans}, ensure_ascii=False))


def _goal(old: ResourceState | None, new: ResourceState) -> dict[str, Any]:
    goal: dict[str, Any] = {
        "type": new.type,
        "name": new.urn.rsplit("::", 1)[-1],
        "custom": new.custom,
        "inputDiff": _difference(old.inputs if old else {}, new.inputs),
        "parent": new.parent,
        "protect": new.protect,
        "dependencies": list(new.dependencies),
        "provider": new.provider,
    }
    return {key: value for key, value in goal.items() if value or key in ("custom", "inputDiff", "protect")}


def _difference(before: Properties, after: Properties) -> dict[str, Any]:
    found = {
        "adds": {key: _open(value) for key, value in after.items() if key not in before},
        "updates": {key: _open(after[key]) for key in after if key in before and before[key] != after[key]},
        "deletes": sorted(before.keys() - after.keys()),
    }
    return {kind: items for kind, items in found.items() if items}


def _open(value: Any) -> Any:
    """The value with secrets in plain text; a secret inside a secret is plain, as in the state."""
    if isinstance(value, values.Secret):
        inner = json.dumps(values.plain(value.value), ensure_ascii=False, default=_unknown)
        return {values.SIGNATURE: values.SECRET, "plaintext": inner}
    if isinstance(value, dict):
        return {key: _open(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_open(item) for item in value]
    return UNKNOWN.value if value is UNKNOWN else value


def _unknown(value: object) -> str:
    if value is UNKNOWN:
        return UNKNOWN.value
    raise TypeError(f"{type(value).__name__} is no value of a resource")
