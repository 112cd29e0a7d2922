"""The text that people read: steps as they happen, property changes, outputs and counts."""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO

from engine import urns, values
from engine.provider import UNKNOWN
from engine.report import Step, Summary

SYMBOLS = {
    "same": " ",
    "create": "+",
    "update": "~",
    "delete": "-",
    "replace": "+-",
    "create-replacement": "++",
    "delete-replaced": "--",
}
_PLANNED = {"create": "to create", "update": "to update", "delete": "to delete", "replace": "to replace"}
_DONE = {"create": "created", "update": "updated", "delete": "deleted", "replace": "replaced"}
_TITLES = {"up": "Updating", "preview": "Previewing update", "destroy": "Destroying", "refresh": "Refreshing"}


class Display:
    """Prints a run in the CLI's manner."""

    def __init__(self, command: str, stack: str, diff: bool, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._diff = diff
        self._outputs: tuple[dict[str, Any], dict[str, Any]] | None = None
        self._print(f"{_TITLES[command]} ({stack}):")

    def started(self, step: Step, preview: bool) -> None:
        """In a preview one line a step is enough."""
        if not preview and step.op not in ("same", "replace"):
            self._line(step, {"create": "creating", "update": "updating", "delete": "deleting"}.get(step.op, step.op))

    def done(self, step: Step, preview: bool) -> None:
        """The step, and under `--diff` what changes in it."""
        if step.op == "same" or (preview and not step.logical):
            return
        self._line(step, step.op if preview else _DONE.get(step.op, f"{step.op} done"))
        if self._diff:
            self._changes(step)

    def failed(self, step: Step, message: str) -> None:
        """The step; the message follows as a diagnostic."""
        self._line(step, f"**{step.op} failed**")

    def diagnostic(self, severity: str, urn: str, message: str) -> None:
        """A message under the resource it belongs to."""
        self._out.flush()
        head = f"{urns.short_type(urns.type_of(urn))} ({urns.name_of(urn)}): " if urn else ""
        print(f"{severity}: {head}{message}", file=sys.stderr, flush=True)

    def outputs(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        """Shown at the end."""
        self._outputs = (old, new)

    def summary(self, summary: Summary) -> None:
        """Outputs and counts."""
        if self._outputs is not None and (self._outputs[0] or self._outputs[1]):
            self._show_outputs(*self._outputs)
        words = _PLANNED if summary.preview else _DONE
        counted = [(op, count) for op, count in summary.changes.items() if op != "same" and count]
        self._print("\nResources:")
        for op, count in sorted(counted):
            self._print(f"    {SYMBOLS.get(op, ' ')} {count} {words.get(op, op)}")
        if summary.changes.get("same"):
            self._print(f"    {summary.changes['same']} unchanged")
        if not summary.preview:
            self._print(f"\nDuration: {max(1, round(summary.seconds))}s")

    def _line(self, step: Step, word: str) -> None:
        reasons = f" [diff: {','.join('~' + key for key in step.changed)}]" if step.changed else ""
        self._print(f" {SYMBOLS[step.op]:<2} {urns.short_type(step.type)} {urns.name_of(step.urn)} {word}{reasons}")

    def _changes(self, step: Step) -> None:
        self._print(f"        [urn={step.urn}]")
        before = step.old.inputs if step.old else {}
        after = step.new.inputs if step.new else {}
        for key in sorted({*before, *after}):
            self._property("      ", key, before.get(key), after.get(key))

    def _property(self, indent: str, key: str, before: Any, after: Any) -> None:
        if before == after or key == "__defaults":
            return
        if before is None:
            self._print(f"{indent}+ {key}: {text(after)}")
        elif after is None:
            self._print(f"{indent}- {key}: {text(before)}")
        else:
            self._print(f"{indent}~ {key}: {text(before)} => {text(after)}")

    def _show_outputs(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self._print("\nOutputs:")
        for key in sorted({*old, *new}):
            if key in old and old[key] == new.get(key):
                self._print(f"    {key}: {text(new[key])}")
            else:
                self._property("  ", key, old.get(key), new.get(key))

    def _print(self, line: str) -> None:
        print(line, file=self._out, flush=True)


def text(value: Any) -> str:
    """A value in one line, secrets hidden."""
    if value is UNKNOWN or value == UNKNOWN.value:
        return "[unknown]"
    shown = values.redact(value)
    return (
        json.dumps(shown, ensure_ascii=False)
        .replace(f'"{UNKNOWN.value}"', "[unknown]")
        .replace('"[secret]"', "[secret]")
    )
