"""Ansible callback: each task and result as one line of JSON, in the file that BERTH_EVENTS names.

Runs inside Ansible's own environment, where nothing of Berth is importable.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: berth_events
    type: notification
    short_description: lines of JSON for a program that follows the run
    description: [Writes tasks and results as they happen.]
"""
LONGEST = 4000


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Writes as things happen; Ansible calls its methods by name."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "berth_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._file = Path(os.environ["BERTH_EVENTS"]).open("a", buffering=1, encoding="utf-8")  # noqa: SIM115

    def _write(self, **event: Any) -> None:
        self._file.write(json.dumps({"time": round(time.time(), 3), **event}) + "\n")

    def _result(self, kind: str, result: Any, ignored: bool = False) -> None:
        found = result._result
        event = {"event": kind, "host": result._host.get_name(), "task": result._task.get_name()}
        event["changed"] = bool(found.get("changed"))
        if kind in ("failed", "unreachable"):
            event["ignored"] = bool(ignored)
            event["message"] = _message(found)[:LONGEST]
        self._write(**event)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._write(event="task", task=task.get_name())

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._write(event="task", task=task.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:
        self._result("ok", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._result("skipped", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._result("failed", result, ignore_errors)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._result("unreachable", result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._write(event="stats", hosts={host: stats.summarize(host) for host in sorted(stats.processed)})


def _message(result: dict[str, Any]) -> str:
    """What a person needs of a result: its message, the command's output, or the failed items."""
    items = [item for item in result.get("results") or [] if item.get("failed")]
    if items:
        return "\n".join(_message(item) for item in items[:3])
    parts = [result.get("msg"), result.get("stderr"), result.get("module_stderr")]
    texts = [part if isinstance(part, str) else json.dumps(part) for part in parts if part]
    return "\n".join(dict.fromkeys(text.strip() for text in texts)) or "it said nothing"
