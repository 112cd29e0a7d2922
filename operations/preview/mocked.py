"""A preview made of two runs of the program on the SDK's mocks: no CLI, no state, no plugin and no secret is needed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.naming import PROJECT
from config.paths import PINS_VARIABLE
from config.stackfile import PINS
from operations.errors import BerthError
from operations.preview.plan import STACK, Change, Planned, Resource
from operations.pulumi import values
from operations.pulumi.environment import search_path
from operations.pulumi.events import RunView
from operations.workspace import StackFile, Workspace

PARALLEL = 16


@dataclass(frozen=True)
class Recording:
    """What one run of a program registered; see `plugins.mocks`."""

    code: int = 0
    resources: list[dict[str, Any]] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    diagnostics: list[dict[str, str]] = field(default_factory=list)

    @property
    def failures(self) -> list[tuple[str, str]]:
        """(what, why) for everything that failed."""
        return self._view.failures()

    @property
    def warnings(self) -> list[str]:
        return self._view.warnings

    @property
    def _view(self) -> RunView:
        view = RunView()
        for entry in self.diagnostics:
            view.apply({"diagnosticEvent": entry})
        return view


def record(workspace: Workspace, root: Path, stack_file: StackFile, before: Recording | None) -> Recording:
    """Run the program of the tree `root`; without a recording before, its resources are taken as deployed."""
    config, secrets = configuration(stack_file.document)
    job = {
        "folder": str(root),
        "entry": ".",
        "root": str(root),
        "project": PROJECT,
        "stack": stack_file.stack,
        "organization": "organization",
        "parallel": PARALLEL,
        "preview": True,
        "config": config,
        "secrets": secrets,
        "before": None if before is None else before.resources,
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    environment |= {
        "BERTH_HOME": str(workspace.home),
        PINS_VARIABLE: str(stack_file.pins),
        "PYTHONPATH": str(workspace.root),
        "PATH": search_path(environment),
    }
    result = subprocess.run(
        [sys.executable, "-P", "-m", "plugins.mocks"],
        cwd=root,
        env=environment,
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        lines = result.stderr.strip().splitlines()
        raise BerthError(f"The program ended before it registered anything: {lines[-1] if lines else 'no output'}")
    return Recording(**json.loads(result.stdout))


def configuration(document: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """What the program gets: text by key (objects as JSON), and which keys hold a secret."""
    config = {key: value for key, value in (document.get("config") or {}).items() if key != PINS}
    texts = {key: _opened(value) for key, value in config.items()}
    secrets = [key for key in config if texts[key] != config[key]]
    return {key: text if isinstance(text, str) else json.dumps(text) for key, text in texts.items()}, secrets


def _opened(value: Any) -> Any:
    """With a placeholder for each secret: another ciphertext is another placeholder."""
    if isinstance(value, dict):
        if set(value) == {"secure"}:
            return f"secret-{hashlib.sha256(str(value['secure']).encode()).hexdigest()[:16]}"
        return {key: _opened(item) for key, item in value.items()}
    return [_opened(item) for item in value] if isinstance(value, list) else value


def planned(before: Recording, after: Recording) -> Planned:
    """What changes from one recording to the other."""
    old = {raw["urn"]: _resource(raw) for raw in before.resources}
    new = {raw["urn"]: _resource(raw) for raw in after.resources}
    ops = {raw["urn"]: str(raw["op"]) for raw in after.resources}
    if not after.code:
        ops |= dict.fromkeys((urn for urn in reversed(old) if urn not in new), "delete")
    changes = [
        Change(op, old.get(urn), new.get(urn)) for urn, op in ops.items() if op != "same" and f"{STACK}::" not in urn
    ]
    marked = [values.read(raw[key]) for raw in (*before.resources, *after.resources) for key in ("inputs", "outputs")]
    return Planned(
        exit_code=after.code,
        document=_document(changes, ops, after),
        changes=tuple(changes),
        resources=() if after.code else tuple(new.values()),
        outputs=values.opened(values.read(before.outputs)),
        failures=tuple(after.failures),
        secrets=frozenset(text for value in marked for text in values.secret_texts(value)),
        warnings=tuple(after.warnings),
    )


def _resource(raw: Mapping[str, Any]) -> Resource:
    return Resource(raw["urn"], values.read(raw["inputs"]), raw["parent"], raw["protect"])


def _document(changes: list[Change], ops: Mapping[str, str], after: Recording) -> dict[str, Any]:
    """In the shape of the CLI's own `preview --json`."""
    return {
        "steps": [
            {"op": change.op, "urn": change.resource.urn}
            | {key: _state(one) for key, one in (("oldState", change.old), ("newState", change.new)) if one}
            for change in changes
        ],
        "diagnostics": after.diagnostics,
        "changeSummary": dict(Counter(ops.values())),
    }


def _state(resource: Resource) -> dict[str, Any]:
    known = {"urn": resource.urn, "type": resource.type, "parent": resource.parent, "protect": resource.protect}
    return {**known, "inputs": {key: values.shown(value) for key, value in resource.inputs.items()}}
