"""Stub providers: everything succeeds, and the state is as after `up`, without a machine, a daemon or a server.

`python -m tests.stub_providers ENGINE` serves them to Pulumi's CLI, as `python -m plugins` serves the real ones.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from plugins.interface import Checked, Context, Created, Diff, Package, Packages, Properties, Provider
from plugins.mocks import LOCAL, drawn, filled
from tests.own_plugins import own_plugins


def environment(folder: Path, cli: Path) -> dict[str, str]:
    """What makes this CLI take the stub providers, kept in `folder`."""
    found = own_plugins(folder, cli)
    for script in Path(found["PULUMI_HOME"]).glob("plugins/language-*/pulumi-language-*"):
        real = script.read_text(encoding="utf-8")
        changed = real.replace(" -m plugins ", " -m tests.stub_providers ")
        assert changed != real, f"{script} starts the real plugins in a way that is not known here"
        script.write_text(changed, encoding="utf-8")
    return found


def load() -> tuple[Packages, Callable[[], None]]:
    """Berth's own packages, those that reach out replaced by stubs."""
    from plugins.host import load_own

    packages, close = load_own()
    return {
        name: package if name in LOCAL else _StubPackage(name, package) for name, package in packages.items()
    }, close


@dataclass(frozen=True)
class _StubPackage(Package):
    name: str
    package: Package

    def types(self) -> frozenset[str]:
        return self.package.types()

    def configure(self, inputs: Properties) -> Provider:
        return _StubProvider(self.package.configure(inputs))

    def check_config(self, inputs: Properties) -> Checked:
        return self.package.check_config(inputs)

    def diff_config(self, olds: Properties, news: Properties) -> Diff:
        return self.package.diff_config(olds, news)


@dataclass(frozen=True)
class _StubProvider(Provider):
    provider: Provider

    def check(self, type_: str, urn: str, olds: Properties | None, news: Properties) -> Checked:
        return self.provider.check(type_, urn, olds, news)

    def diff(self, type_: str, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties) -> Diff:
        return self.provider.diff(type_, id_, old_inputs, old_outputs, news)

    def create(self, type_: str, inputs: Properties, context: Context) -> Created:
        made = self.provider.create(type_, inputs, replace(context, preview=True))
        return Created(drawn(context.urn, "id"), filled(context.urn, made.outputs))

    def update(
        self, type_: str, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties, context: Context
    ) -> Properties:
        seen = replace(context, preview=True)
        return filled(context.urn, self.provider.update(type_, id_, old_inputs, old_outputs, news, seen))

    def delete(self, type_: str, id_: str, inputs: Properties, outputs: Properties, context: Context) -> None:
        """Nothing is there to delete."""

    def read(self, type_: str, id_: str, inputs: Properties, outputs: Properties) -> Created | None:
        return Created(id_, outputs)

    def secret_outputs(self, type_: str) -> frozenset[str]:
        return self.provider.secret_outputs(type_)

    def close(self) -> None:
        self.provider.close()


if __name__ == "__main__":
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
    from plugins.host import main

    main(sys.argv[-1], load)
