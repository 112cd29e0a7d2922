"""Reads the Pulumi CLI's event log (JSON lines) into one view of the run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COLOR = re.compile(r"<\{%.*?%\}>|\x1b\[[0-9;]*m")
NOISE = re.compile(r"^(error: )?((update|preview|destroy|refresh) failed|resource .* was not successfully .*)$")
PLUGIN_GONE = re.compile(r"error reading from server: EOF|^Detected that \S+ exited prematurely")
"""The CLI's messages when a provider's process ends while it is needed."""
GONE = "a provider's process ended unexpectedly; run the command again, it continues from there"
TRACE = "Traceback (most recent call last)"
QUIET_OPS = frozenset({"same", "read", "refresh"})
VERBS = {
    "create": "creating",
    "update": "updating",
    "delete": "deleting",
    "replace": "replacing",
    "create-replacement": "replacing",
    "delete-replaced": "deleting the old",
    "same": "checking",
}


def display_name(urn: str) -> str:
    """`docker Container lab-node1` from a URN's type and name."""
    parts = urn.split("::", 3)
    if len(parts) < 4:
        return urn
    type_ = parts[2].rsplit("$", 1)[-1]
    package, _, rest = type_.partition(":")
    noun = rest.rsplit(":", 1)[-1] or type_
    if type_.startswith("pulumi:providers:"):
        return f"{noun} provider {parts[3]}"
    return f"{package} {noun} {parts[3]}" if package not in ("berth", "pulumi") else f"{noun} {parts[3]}"


@dataclass(frozen=True)
class Step:
    """One resource operation."""

    urn: str
    op: str

    @property
    def title(self) -> str:
        return f"{VERBS.get(self.op, self.op)} {display_name(self.urn)}"

    @property
    def is_change(self) -> bool:
        return self.op not in QUIET_OPS and not _is_stack(self.urn)


@dataclass
class RunView:
    """The state of a run so far, from its events."""

    running: dict[str, Step] = field(default_factory=dict)
    finished: list[Step] = field(default_factory=list)
    failed: list[Step] = field(default_factory=list)
    errors: dict[str, list[str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    changes: dict[str, int] | None = None
    note: str = ""
    """Progress of a resource that takes long."""

    def apply(self, event: Mapping[str, Any]) -> Step | None:
        """Add one event; returns the step that it finished, if it finished one."""
        if "resourcePreEvent" in event:
            step = _step(event["resourcePreEvent"])
            self.running[step.urn] = step
        elif "resOutputsEvent" in event:
            step = _step(event["resOutputsEvent"])
            # A component's outputs come as a second event of the same resource.
            if self.running.pop(step.urn, None) is not None:
                self.finished.append(step)
                return step
        elif "resOpFailedEvent" in event:
            step = _step(event["resOpFailedEvent"])
            self.running.pop(step.urn, None)
            self.failed.append(step)
            return step
        elif "diagnosticEvent" in event:
            self._diagnose(event["diagnosticEvent"])
        elif "summaryEvent" in event:
            counts = event["summaryEvent"].get("resourceChanges") or {}
            self.changes = {str(op): int(count) for op, count in counts.items()}
        return None

    def _diagnose(self, event: Mapping[str, Any]) -> None:
        text = COLOR.sub("", str(event.get("message", ""))).strip()
        severity = event.get("severity")
        if not text or event.get("ephemeral"):
            return
        if severity == "error":
            known = self.errors.setdefault(str(event.get("urn", "")), [])
            if PLUGIN_GONE.search(text.removeprefix("error: ")):
                text = GONE
            if not NOISE.match(text) and text not in known:
                known.append(text)
        elif severity == "warning" and text not in self.warnings:
            self.warnings.append(text)

    @property
    def done(self) -> int:
        """Resources that the run has finished."""
        return sum(self.changes.values()) if self.changes is not None else len(self.finished)

    @property
    def changed(self) -> int:
        """Resources that are not as they were before the run (or would not be, in a preview)."""
        if self.changes is not None:
            return sum(count for op, count in self.changes.items() if op not in QUIET_OPS)
        return sum(1 for step in self.finished if step.is_change)

    def failures(self) -> list[tuple[str, str]]:
        """(what, why) for everything that failed, without the noise around it."""
        result = self.failed_steps()
        reported = {step.urn for step in self.failed}
        for urn, texts in self.errors.items():
            if urn not in reported and texts:
                name = display_name(urn) if urn and not _is_stack(urn) else "the program"
                result.append((name, "\n".join(without_trace(text) for text in texts)))
        return result

    def failed_steps(self) -> list[tuple[str, str]]:
        """(what, why) for every operation that failed."""
        reasons = ("\n".join(map(without_trace, self.errors.get(step.urn, []))) for step in self.failed)
        return [(step.title, why or "no reason given") for step, why in zip(self.failed, reasons, strict=True)]


def _step(event: Mapping[str, Any]) -> Step:
    metadata = event.get("metadata") or {}
    return Step(str(metadata.get("urn", "")), str(metadata.get("op", "")))


def _is_stack(urn: str) -> bool:
    return "::pulumi:pulumi:Stack::" in urn


def without_trace(text: str) -> str:
    """The text with any Python stack trace cut down to the exception's own message."""
    if TRACE not in text:
        return text
    lines = text[text.rindex(TRACE) :].splitlines()[1:]
    message = [line for line in lines if line.strip()]
    while message and message[0].startswith((" ", "\t")):
        message.pop(0)
    return "\n".join(message).strip() or text.splitlines()[0]


class EventLog:
    """An event log that is still being written: each read returns the events added since the last one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    def read(self) -> list[dict[str, Any]]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        events = []
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                events.append(event)
        return events
