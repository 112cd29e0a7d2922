"""Providers that take everything as done: a state as after `up`, without a machine, a daemon or a server behind it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from engine.provider import UNKNOWN, Checked, Context, Created, Diff, Loader, Package, Packages, Properties, Provider

# What tls and random make is made on this machine anyway; these three reach out.
REACHING_OUT = ("command", "docker", "minio")
_EMPTY: dict[str, Any] = {
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
_DRAWN = ("accessKey", "imageId", "repoDigest", "secret", "secretKey")


def pretending(load: Loader) -> Loader:
    """The same packages, of which those that reach out only pretend to."""

    def loaded() -> tuple[Packages, Callable[[], None]]:
        packages, close = load()
        tamed: dict[str, Package] = dict(packages)
        tamed |= {name: _PretendingPackage(name, packages[name]) for name in REACHING_OUT if name in packages}
        return tamed, close

    return loaded


@dataclass(frozen=True)
class _PretendingPackage(Package):
    name: str
    package: Package

    def types(self) -> frozenset[str]:
        return self.package.types()

    def configure(self, inputs: Properties) -> Provider:
        return _PretendingProvider(self.package.configure(inputs))

    def check_config(self, inputs: Properties) -> Checked:
        return self.package.check_config(inputs)

    def diff_config(self, olds: Properties, news: Properties) -> Diff:
        return self.package.diff_config(olds, news)


@dataclass(frozen=True)
class _PretendingProvider(Provider):
    provider: Provider

    def check(self, type_: str, urn: str, olds: Properties | None, news: Properties) -> Checked:
        return self.provider.check(type_, urn, olds, news)

    def diff(self, type_: str, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties) -> Diff:
        return self.provider.diff(type_, id_, old_inputs, old_outputs, news)

    def create(self, type_: str, inputs: Properties, context: Context) -> Created:
        made = self.provider.create(type_, inputs, replace(context, preview=True))
        return Created(_drawn(context.urn, "id"), _filled(context.urn, made.outputs))

    def update(
        self, type_: str, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties, context: Context
    ) -> Properties:
        seen = replace(context, preview=True)
        return _filled(context.urn, self.provider.update(type_, id_, old_inputs, old_outputs, news, seen))

    def delete(self, type_: str, id_: str, inputs: Properties, outputs: Properties, context: Context) -> None:
        """Nothing is there to delete."""

    def read(self, type_: str, id_: str, inputs: Properties, outputs: Properties) -> Created | None:
        return Created(id_, outputs)

    def secret_outputs(self, type_: str) -> frozenset[str]:
        return self.provider.secret_outputs(type_)

    def close(self) -> None:
        self.provider.close()


def _filled(urn: str, outputs: Properties) -> Properties:
    """What only the real thing could tell: empty, drawn from the name, or left out."""
    known = {name: value for name, value in outputs.items() if value is not UNKNOWN}
    for name in outputs.keys() - known.keys():
        if name in _EMPTY:
            known[name] = _EMPTY[name]
        elif name in _DRAWN:
            known[name] = _drawn(urn, name)
    return known


def _drawn(urn: str, name: str) -> str:
    """The same for the same resource, so that two runs that pretend agree."""
    return hashlib.sha256(f"{urn} {name}".encode()).hexdigest()[:40]
