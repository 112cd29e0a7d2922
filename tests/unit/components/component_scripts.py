"""Every script of the components, whole, by the constants from which the components themselves run them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeGuard

import components
from components.lib.host_files.shell import Script, stage_script


def found() -> dict[str, str]:
    """By the constant's name: a `Script`, a mapping of them, or `SCRIPTS`, the parts of a stage after the bundle's."""
    scripts = {"a bundle alone": str(stage_script())}
    for name, value in _constants():
        for key, text in _scripts(name, value):
            # A module that imports the constant has it too.
            if text not in scripts.values():
                scripts[key] = text
    return scripts


def stages() -> set[tuple[str, ...]]:
    """The names of each stage's parts, in their order."""
    return {tuple(part.name for part in value) for name, value in _constants() if _is_stage(name, value)}


def _constants() -> Iterator[tuple[str, object]]:
    for module in pkgutil.walk_packages(components.__path__, "components."):
        for name, value in vars(importlib.import_module(module.name)).items():
            yield f"{module.name}.{name}", value


def _is_stage(name: str, value: object) -> TypeGuard[Sequence[Path]]:
    return name.endswith("SCRIPTS") and isinstance(value, Sequence) and all(isinstance(one, Path) for one in value)


def _scripts(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Script):
        yield name, value
    elif isinstance(value, Mapping):
        yield from ((f"{name}[{key}]", one) for key, one in value.items() if isinstance(one, Script))
    elif _is_stage(name, value):
        yield name, stage_script(*value)
