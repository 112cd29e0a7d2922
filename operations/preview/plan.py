"""What the CLI plans, from three of its outputs: the preview's JSON, the saved plan, and the stack's state.

Only the saved plan holds new values with secrets, only the state old ones; both are read in memory and never kept.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from operations.pulumi import values
from operations.pulumi.events import RunView
from operations.pulumi.session import Session
from operations.pulumi.state import UNAPPLIED

REPLACE = frozenset({"replace", "create-replacement", "delete-replaced"})
STACK = "pulumi:pulumi:Stack"


@dataclass(frozen=True)
class Resource:
    """One resource of the state or of the program; secret values are marked."""

    urn: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    parent: str = ""
    protect: bool = False

    @property
    def type(self) -> str:
        return self.urn.split("::")[2].rsplit("$", 1)[-1]

    @property
    def name(self) -> str:
        return self.urn.rsplit("::", 1)[-1]

    @property
    def stage(self) -> str:
        """The component's package, as in `berth:registry:Registry`; empty outside of one."""
        types = self.urn.split("::")[2].split("$")
        return next((type_.split(":")[1] for type_ in types if type_.startswith("berth:")), "")

    @property
    def open(self) -> dict[str, Any]:
        """The inputs without marks."""
        return {key: values.opened(value) for key, value in self.inputs.items()}


@dataclass(frozen=True)
class Change:
    """One resource that would change."""

    op: str
    old: Resource | None
    new: Resource | None

    @property
    def resource(self) -> Resource:
        found = self.new or self.old
        assert found is not None
        return found


@dataclass(frozen=True)
class Planned:
    """A complete preview; `resources` is empty when it failed."""

    exit_code: int
    document: dict[str, Any]
    changes: tuple[Change, ...]
    resources: tuple[Resource, ...]
    outputs: Mapping[str, Any]
    """The stack's outputs before the change."""
    failures: tuple[tuple[str, str], ...]
    secrets: frozenset[str]
    warnings: tuple[str, ...] = ()


def plan(session: Session) -> Planned:
    """Call the CLI. No call changes anything, so they run in parallel."""
    with tempfile.TemporaryDirectory(prefix="berth-preview-") as directory, ThreadPoolExecutor(2) as pool:
        path = Path(directory) / "plan.json"
        state = pool.submit(session.export, show_secrets=True)
        config: Future[list[str]] = pool.submit(_configured_secrets, session)
        result = _preview(session, path)
        document = _document(session, result)
        found = json.loads(path.read_text(encoding="utf-8"))["resourcePlans"] if path.exists() else {}
        return _assemble(result.returncode, document, state.result(), found, config.result())


def _preview(session: Session, plan_file: Path) -> subprocess.CompletedProcess[str]:
    words = ["preview", "--json", "--show-secrets", "--save-plan", str(plan_file), "--ignore-protect"]
    result = _call(session, words)
    if result.returncode and "unknown flag: --ignore-protect" in result.stderr:
        # A CLI older than 3.256 ends such a preview with an error, which names what is protected.
        result = _call(session, words[:-1])
    return result


def _call(session: Session, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        session.argv(words),
        cwd=session.workspace.root,
        env=dict(session.environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _document(session: Session, result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    try:
        document = json.loads(result.stdout)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise session.refusal(f"{result.stderr}\n{result.stdout}")
    return document


def _assemble(
    exit_code: int,
    document: dict[str, Any],
    export: Mapping[str, Any],
    plans: Mapping[str, Any],
    configured: Sequence[str],
) -> Planned:
    states = [raw for raw in (export.get("deployment") or {}).get("resources") or [] if not raw.get("delete")]
    before = {raw["urn"]: _resource(raw["urn"], raw) for raw in states}
    after = {urn: _planned(urn, entry["goal"], before.get(urn)) for urn, entry in plans.items() if "goal" in entry}
    diagnostics = RunView()
    for entry in document.get("diagnostics") or []:
        diagnostics.apply({"diagnosticEvent": entry})
    return Planned(
        exit_code=exit_code,
        document=document,
        changes=tuple(_changes(document.get("steps") or [], before, after)),
        resources=tuple(after.values()),
        outputs=_stack_outputs(states),
        failures=tuple(diagnostics.failures()),
        secrets=frozenset({*configured, *_secret_texts(states, after.values())}),
        warnings=tuple(text.removeprefix("warning: ") for text in diagnostics.warnings),
    )


def _changes(
    steps: Iterable[Mapping[str, Any]], before: Mapping[str, Resource], after: Mapping[str, Resource]
) -> Iterator[Change]:
    """One change per resource: a replacement is several steps, of which the first counts."""
    seen = set[str]()
    for step in steps:
        urn, op = str(step["urn"]), str(step["op"])
        if op == "same" or f"{STACK}::" in urn or urn in seen:
            continue
        seen.add(urn)
        new = None if op == "delete" else after.get(urn) or _resource(urn, step.get("newState") or {})
        yield Change("replace" if op in REPLACE else op, _as_applied(before.get(urn)), new)


def _as_applied(old: Resource | None) -> Resource | None:
    """What is known to be on the node: nothing, where the last run of the command did not end."""
    if old is None or not UNAPPLIED["inputs"].items() <= old.inputs.items():
        return old
    return dataclasses.replace(old, inputs={key: value for key, value in old.inputs.items() if key != "stdin"})


def _stack_outputs(states: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The outputs of the stack's own resource, secrets opened."""
    for raw in states:
        if raw["type"] == STACK:
            outputs: Mapping[str, Any] = values.opened(values.read(dict(raw.get("outputs") or {})))
            return outputs
    return {}


def _secret_texts(states: Iterable[Mapping[str, Any]], planned: Iterable[Resource]) -> Iterator[str]:
    """Every secret in the state, and in the inputs that are planned."""
    for raw in states:
        for key in ("inputs", "outputs"):
            yield from values.secret_texts(values.read(raw.get(key) or {}))
    for resource in planned:
        yield from values.secret_texts(dict(resource.inputs))


def _resource(urn: str, raw: Mapping[str, Any]) -> Resource:
    inputs = values.read(dict(raw.get("inputs") or {}))
    return Resource(urn, inputs, str(raw.get("parent") or ""), bool(raw.get("protect")))


def _planned(urn: str, goal: Mapping[str, Any], old: Resource | None) -> Resource:
    """The desired resource: the old inputs with the plan's difference applied."""
    difference = goal.get("inputDiff") or {}
    inputs = dict(old.inputs) if old else {}
    for key in difference.get("deletes") or ():
        inputs.pop(key, None)
    inputs |= values.read({**(difference.get("adds") or {}), **(difference.get("updates") or {})})
    return Resource(urn, inputs, str(goal.get("parent") or ""), bool(goal.get("protect")))


def _configured_secrets(session: Session) -> list[str]:
    """Secret values of the settings; the CLI is only called if the stack file has any."""
    sealed = [(key, path) for key, value in _config(session).items() for path in _sealed(value)]
    if not sealed:
        return []
    config = session.ask_json("config", "--json", "--show-secrets")
    found = []
    for key, path in sealed:
        value: Any = config[key]["value"]
        if path:
            value = json.loads(value)
        for step in path:
            value = value[step]
        found.append(str(value))
    return found


def _config(session: Session) -> Mapping[str, Any]:
    config = session.stack_file.document.get("config")
    return config if isinstance(config, dict) else {}


def _sealed(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict) and set(value) == {"secure"}:
        yield path
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _sealed(item, (*path, key))
