"""`python -m plugins.mocks`: runs a Pulumi program once on the SDK's mocks and reports what it registered.

Berth's providers check inputs, fill in defaults and tell an update from a replacement: for that they need no machine
and no server. Standard input is a job as JSON: what `plugins.program` takes, and `before`, the entries of an earlier
recording that the program is compared with, or null. Without one the program's resources are taken as deployed: what
only a server could answer is drawn. Standard output is the recording.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime.settings import Settings, configure

from plugins import marks, program, providers, urns
from plugins.interface import (
    UNKNOWN,
    Checked,
    Context,
    Created,
    Diff,
    Package,
    Packages,
    Properties,
    Provider,
    ProviderError,
)
from plugins.providers.base import TypedProvider
from plugins.recorder import Messages, Recorder
from plugins.ssh import Session
from plugins.values import from_json, from_struct, plain, to_json

ROOT = Path(__file__).resolve().parents[1]
LOCAL = ("random", "tls")
"""Packages whose resources are made in this process."""
EMPTY: Mapping[str, Any] = {
    "stdout": "",
    "stderr": "",
    "command": [],
    "entrypoints": [],
    "envs": [],
    "ipamConfigs": [],
    "networkDatas": [],
    "options": {},
    "securityOpts": [],
}
DRAWN = ("accessKey", "imageId", "repoDigest", "secret", "secretKey")


@dataclass(frozen=True)
class Entry:
    """One resource of a recording; properties as JSON, with Pulumi's marks."""

    urn: str
    op: str
    """create, update, replace or same, against the recording before."""
    parent: str
    protect: bool
    id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]


class _Component(TypedProvider):
    """Stands in for the provider of what has none."""

    def __init__(self) -> None:
        super().__init__([])

    def check(self, type_: str, urn: str, olds: Properties | None, news: Properties) -> Checked:
        return Checked(news)

    def diff(self, type_: str, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties) -> Diff:
        return Diff(tuple(key for key in sorted({*old_inputs, *news}) if old_inputs.get(key) != news.get(key)))

    def create(self, type_: str, inputs: Properties, context: Context) -> Created:
        return Created("", {})

    def update(
        self, type_: str, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties, context: Context
    ) -> Properties:
        return {}

    def secret_outputs(self, type_: str) -> frozenset[str]:
        return frozenset()


class _Settings(_Component):
    """Stands in for the provider of a provider resource: its settings."""

    def __init__(self, package: Package) -> None:
        super().__init__()
        self._package = package

    def check(self, type_: str, urn: str, olds: Properties | None, news: Properties) -> Checked:
        return self._package.check_config(news)

    def diff(self, type_: str, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties) -> Diff:
        return self._package.diff_config(old_inputs, news)


class Monitor(Recorder):
    """Answers as the CLI does in a preview, or, without a recording before, as after `up`."""

    def __init__(self, packages: Packages, before: Mapping[str, Entry] | None) -> None:
        super().__init__()
        self._packages = packages
        self._before = before
        self._configured: dict[str, Provider] = {}
        self._deleted_first: set[str] = set()
        self.entries: list[Entry] = []

    def outcome(self, request: Any, urn: str) -> tuple[str, Properties]:
        old = (self._before or {}).get(urn)
        given = {key: marks.compact(value) for key, value in from_struct(request.object).items()}
        before: Properties = from_json(old.inputs) if old else {}
        if old:
            given = _ignoring(given, before, request.ignoreChanges)
        try:
            provider = self._provider(request)
            checked = provider.check(request.type, urn, plain(before) or None, plain(given))
            if checked.failures:
                problems = "; ".join(f"{failure.property}: {failure.reason}" for failure in checked.failures)
                raise ProviderError(f"{request.type} resource {request.name!r} has a problem: {problems}")
            inputs = marks.inputs(given, checked)
            op = self._op(provider, request, old, inputs) if old else "create"
            id_, outputs = self._made(provider, request, urn, op, old, inputs)
        except ProviderError as error:
            raise pulumi.RunError(str(error)) from None
        entry = Entry(urn, op, request.parent, request.protect, id_, to_json(inputs), to_json(outputs))
        self.entries.append(entry)
        if request.type.startswith(urns.PROVIDER_PREFIX):
            self._configured[urn] = self._package(request.type).configure(plain(inputs))
        return id_, {**inputs, **outputs}

    def _package(self, type_: str) -> Package:
        name = type_.removeprefix(urns.PROVIDER_PREFIX).split(":", 1)[0]
        if name not in self._packages:
            raise ProviderError(f"{type_}: Berth has no provider {name}; it has {', '.join(sorted(self._packages))}")
        return self._packages[name]

    def _provider(self, request: Any) -> Provider:
        if not request.custom:
            return _Component()
        package = self._package(request.type)
        if request.type.startswith(urns.PROVIDER_PREFIX):
            return _Settings(package)
        if request.type not in package.types():
            raise ProviderError(f"{request.name}: Berth's {package.name} provider has no resource type {request.type}")
        reference = request.provider.rpartition("::")[0]
        if reference not in self._configured:
            refused = package.check_config({}).failures
            if refused:
                raise ProviderError(f"{request.name} names no provider: {refused[0].property} {refused[0].reason}")
            reference = package.name
            self._configured.setdefault(reference, package.configure({}))
        return self._configured[reference]

    def _op(self, provider: Provider, request: Any, old: Entry, inputs: Properties) -> str:
        before, outputs = from_json(old.inputs), plain(from_json(old.outputs))
        diff = provider.diff(request.type, old.id, plain(before), outputs, plain(inputs))
        changed = {*diff.changed, *diff.replace, *marks.secrecy_changes(before, inputs)}
        # As the CLI does it: what depends on a resource that is deleted first, and could not stay, goes before it.
        gone = {key for key, needed in request.propertyDependencies.items() if self._deleted_first & {*needed.urns}}
        unsure = {key: UNKNOWN if key in gone else value for key, value in plain(before).items()}
        forced = provider.diff(request.type, old.id, plain(before), outputs, unsure).replace if gone else ()
        if not {*diff.replace, *forced, *(changed & {*request.replaceOnChanges})}:
            return "update" if changed else "same"
        if forced or (
            request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else diff.delete_before_replace
        ):
            self._deleted_first.add(old.urn)
        return "replace"

    def _made(
        self, provider: Provider, request: Any, urn: str, op: str, old: Entry | None, inputs: Properties
    ) -> tuple[str, Properties]:
        """Id and outputs of a resource to which this happened."""
        type_, secret = request.type, frozenset(request.additionalSecretOutputs)
        if old and op == "same":
            return old.id, from_json(old.outputs)
        if old and op == "update":
            before, outputs = plain(from_json(old.inputs)), plain(from_json(old.outputs))
            made = Created(old.id, provider.update(type_, old.id, before, outputs, plain(inputs), Context(urn, True)))
        else:
            deployed = self._before is None
            local = type_.split(":", 1)[0] in LOCAL
            made = provider.create(type_, plain(inputs), Context(urn, preview=not (deployed and local)))
            if deployed and request.custom:
                made = Created(made.id or drawn(urn, "id"), filled(urn, made.outputs))
        return made.id, marks.sealed(made.outputs, inputs, provider.secret_outputs(type_) | secret)


def filled(urn: str, outputs: Properties) -> Properties:
    """Outputs in which what only a server could tell is empty, drawn from the resource's name, or left out."""
    known = {name: value for name, value in outputs.items() if value is not UNKNOWN}
    for name in outputs.keys() - known.keys():
        if name in EMPTY:
            known[name] = EMPTY[name]
        elif name in DRAWN:
            known[name] = drawn(urn, name)
    return known


def drawn(urn: str, name: str) -> str:
    """The same for the same resource in every run."""
    return hashlib.sha256(f"{urn} {name}".encode()).hexdigest()[:40]


def _ignoring(given: Properties, before: Properties, ignored: Iterable[str]) -> Properties:
    """The inputs with those that are to be ignored as they were."""
    kept = {key: before[key] for key in ignored if key in before}
    return {**{key: value for key, value in given.items() if key not in ignored}, **kept}


def record(job: dict[str, Any]) -> dict[str, Any]:
    """The recording of one run of a program in this process."""
    before = job["before"]
    monitor = Monitor(
        providers.load(Session()), None if before is None else {one["urn"]: Entry(**one) for one in before}
    )
    messages = Messages()

    def connect(job: dict[str, Any]) -> None:
        configure(
            Settings(
                project=job["project"],
                stack=job["stack"],
                organization=job["organization"],
                monitor=monitor,
                engine=messages,
                root_directory=job["root"],
                parallel=job["parallel"],
                dry_run=True,
            )
        )

    code = program.run(job, connect)
    return {
        "code": code,
        "resources": [asdict(entry) for entry in monitor.entries],
        "outputs": monitor.outputs,
        "diagnostics": messages.messages,
    }


def main() -> None:
    """One job."""
    job = json.load(sys.stdin)
    # What the program prints is no part of the answer.
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # The program is to find its own tree's modules, and none of this one's beside the plugins.
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != ROOT]
    with answer:
        json.dump(record(job), answer)
    os._exit(0)


if __name__ == "__main__":
    main()
