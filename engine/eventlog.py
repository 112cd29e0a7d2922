"""Listeners for machines: the event log's JSON lines and the digest of `preview --json`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from engine import render, urns, values
from engine.report import Step, Summary


class EventLog:
    """Streams engine events in the CLI's shapes, one JSON object a line."""

    def __init__(self, path: Path, config: dict[str, str]) -> None:
        self._file = path.open("w", encoding="utf-8", buffering=1)
        self._sequence = 0
        self._emit("preludeEvent", {"config": config})

    def started(self, step: Step, preview: bool) -> None:
        """resourcePreEvent."""
        self._emit("resourcePreEvent", {"metadata": render.metadata(step), "planning": preview})

    def done(self, step: Step, preview: bool) -> None:
        """resOutputsEvent."""
        self._emit("resOutputsEvent", {"metadata": render.metadata(step), "planning": preview})

    def failed(self, step: Step, message: str) -> None:
        """resOpFailedEvent."""
        self._emit("resOpFailedEvent", {"metadata": render.metadata(step), "status": 0, "steps": 1})

    def diagnostic(self, severity: str, urn: str, message: str) -> None:
        """diagnosticEvent."""
        event = {
            "urn": urn,
            "prefix": f"{severity}: ",
            "message": f"{message}\n",
            "color": "never",
            "severity": severity,
        }
        self._emit("diagnosticEvent", event if urn else {key: event[key] for key in event if key != "urn"})

    def outputs(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        """Stack outputs travel with the stack's own events."""

    def summary(self, summary: Summary) -> None:
        """summaryEvent and the closing cancelEvent."""
        self._emit(
            "summaryEvent",
            {
                "maybeCorrupt": False,
                "durationSeconds": int(summary.seconds),
                "resourceChanges": summary.changes,
                "isPreview": summary.preview,
                "result": "failed" if summary.failed else "succeeded",
            },
        )
        self._emit("cancelEvent", {})
        self._file.close()

    def _emit(self, kind: str, payload: dict[str, Any]) -> None:
        event = {"sequence": self._sequence, "timestamp": int(time.time()), kind: payload}
        self._sequence += 1
        self._file.write(json.dumps(event, ensure_ascii=False, default=str) + "\n")


class Digest:
    """Collects a preview and prints it as one document."""

    def __init__(self, config: dict[str, str]) -> None:
        self._document: dict[str, Any] = {"config": config, "steps": [], "diagnostics": []}
        self._steps: list[dict[str, Any]] = self._document["steps"]

    def started(self, step: Step, preview: bool) -> None:
        """Only outcomes matter here."""

    def done(self, step: Step, preview: bool) -> None:
        """Logical steps that change something, and the stack itself."""
        if step.logical and (step.op != "same" or step.type == urns.STACK_TYPE or _protect_changed(step)):
            self._steps.append(render.digest_step(step))

    def failed(self, step: Step, message: str) -> None:
        """The diagnostic says it."""

    def diagnostic(self, severity: str, urn: str, message: str) -> None:
        """Messages of the run."""
        entry = {"urn": urn, "message": message, "severity": severity}
        self._document["diagnostics"].append({key: value for key, value in entry.items() if value})

    def outputs(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        """The stack's step shows its outputs."""
        for step in self._steps:
            if urns.type_of(step["urn"]) == urns.STACK_TYPE and "newState" in step:
                step["newState"]["outputs"] = values.redact(new)

    def summary(self, summary: Summary) -> None:
        """Print the document."""
        if not self._document["diagnostics"]:
            del self._document["diagnostics"]
        self._document["duration"] = int(summary.seconds * 1e9)
        self._document["changeSummary"] = summary.changes
        json.dump(self._document, sys.stdout, indent=4, ensure_ascii=False)
        print()


def _protect_changed(step: Step) -> bool:
    return bool(step.old and step.new and step.old.protect != step.new.protect)
