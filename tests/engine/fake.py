"""A small provider whose world is a directory, so that tests in this process and in others see the same objects."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine import urns
from engine.provider import (
    UNKNOWN,
    Checked,
    CheckFailure,
    Context,
    Created,
    Diff,
    Packages,
    Properties,
    ProviderError,
)

THING = "fake:index:Thing"


class World:
    """What exists outside of the state, and every call that changed or read it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "objects").mkdir(parents=True, exist_ok=True)

    def note(self, call: str) -> None:
        with (self.root / "calls").open("a") as file:
            file.write(f"{call}\n")

    def calls(self) -> list[str]:
        path = self.root / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def forget_calls(self) -> None:
        (self.root / "calls").unlink(missing_ok=True)

    def object(self, id_: str) -> Path:
        return self.root / "objects" / id_

    def names(self) -> list[str]:
        return sorted(json.loads(path.read_text())["name"] for path in (self.root / "objects").iterdir())


class FakeProvider:
    """`kind` forces replacement, `token` is secret by schema, `fail` names the operation that fails."""

    def __init__(self, world: World, config: Properties) -> None:
        self._world = world
        self._prefix = str(config.get("prefix", ""))

    def check(self, type_: str, urn: str, olds: Properties | None, news: Properties) -> Checked:
        failures = [CheckFailure("invalid", "is not accepted")] if "invalid" in news else []
        return Checked({"size": 1, **news}, failures, frozenset({"token", "nested.token"}))

    def diff(self, type_: str, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties) -> Diff:
        changed = tuple(key for key in sorted({*old_inputs, *news}) if old_inputs.get(key) != news.get(key))
        return Diff(changed, tuple(key for key in changed if key == "kind"), bool(news.get("unique")))

    def create(self, type_: str, inputs: Properties, context: Context) -> Created:
        name = urns.name_of(context.urn)
        if context.preview:
            return Created("", {**inputs, "serial": UNKNOWN, "made": f"{self._prefix}{name}"})
        self._act("create", name, inputs)
        id_ = f"{name}-{uuid.uuid4().hex[:6]}"
        self._world.object(id_).write_text(json.dumps({"name": name, **inputs}))
        return Created(id_, {**inputs, "serial": id_, "made": f"{self._prefix}{name}"})

    def update(
        self, type_: str, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties, context: Context
    ) -> Properties:
        name = urns.name_of(context.urn)
        if not context.preview:
            self._act("update", name, news)
            self._world.object(id_).write_text(json.dumps({"name": name, **news}))
        return {**news, "serial": id_, "made": f"{self._prefix}{name}"}

    def delete(self, type_: str, id_: str, inputs: Properties, outputs: Properties, context: Context) -> None:
        self._act("delete", urns.name_of(context.urn), inputs)
        self._world.object(id_).unlink(missing_ok=True)

    def read(self, type_: str, id_: str, inputs: Properties, outputs: Properties) -> Created | None:
        path = self._world.object(id_)
        if not path.exists():
            return None
        found = json.loads(path.read_text())
        name = found.pop("name")
        return Created(id_, {**found, "serial": id_, "made": f"{self._prefix}{name}"})

    def secret_outputs(self, type_: str) -> frozenset[str]:
        return frozenset()

    def close(self) -> None:
        self._world.note("close")

    def _act(self, operation: str, name: str, inputs: Properties) -> None:
        self._world.note(f"{operation} {name}")
        time.sleep(float(inputs.get("sleep", 0)))
        assert "04da6b54" not in json.dumps(inputs, default=str), "an unknown value reached a real operation"
        if inputs.get("fail") == operation:
            raise ProviderError(f"{operation} of {name} failed with {inputs.get('token', 'no token')}")


class FakePackage:
    name = "fake"

    def __init__(self, world: World) -> None:
        self._world = world

    def types(self) -> frozenset[str]:
        return frozenset({THING})

    def configure(self, inputs: Properties) -> FakeProvider:
        return FakeProvider(self._world, inputs)

    def check_config(self, inputs: Properties) -> Checked:
        return Checked(inputs)

    def diff_config(self, olds: Properties, news: Properties) -> Diff:
        changed = tuple(key for key in sorted({*olds, *news}) if olds.get(key) != news.get(key))
        return Diff(changed, tuple(key for key in changed if key == "host"))


def loader(root: Path) -> Callable[[], tuple[Packages, Callable[[], None]]]:
    packages: dict[str, Any] = {"fake": FakePackage(World(root))}
    return lambda: (packages, lambda: None)


if __name__ == "__main__":
    from engine.cli import main

    sys.exit(main(sys.argv[2:], loader(Path(sys.argv[1]))))
