"""A release of Kolla: its services, its inventory's groups, the types of its variables."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("kolla_releases")
"""One file per release, written by `python -m operations.kolla.facts` from the installed kolla-ansible."""

_TYPES: dict[str, type] = {"bool": bool, "int": int, "list": list, "dict": dict}
_DESCRIPTIONS = {"bool": "true or false", "int": "a whole number", "list": "a list", "dict": "an object"}
# Text that Ansible converts where it expects a boolean.
_BOOLEANS = {"yes", "no", "true", "false", "on", "off"}


@dataclass(frozen=True)
class Release:
    """One release, as its files describe it."""

    name: str
    after: tuple[str, ...]
    """Releases from which an upgrade to it is supported."""
    services: frozenset[str]
    """Names that follow `enable_`."""
    groups: frozenset[str]
    types: dict[str, str]
    """Variable -> bool, int, list or dict, where its default has such a type."""

    def expected_type(self, variable: str, value: Any) -> str | None:
        """A description of the type if the value does not have it; None if it does or the type is unknown."""
        kind = self.types.get(variable)
        if kind is None or (isinstance(value, str) and ("{{" in value or "{%" in value)):
            return None
        if kind == "bool" and isinstance(value, str) and value.lower() in _BOOLEANS:
            return None
        if kind == "int" and isinstance(value, str) and value.lstrip("-").isdigit():
            return None
        fits = isinstance(value, _TYPES[kind]) and (kind == "bool" or not isinstance(value, bool))
        return None if fits else _DESCRIPTIONS[kind]


@cache
def release(name: str) -> Release:
    """The release of this name, one of those that the settings accept."""
    known = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    types = {variable: kind for kind, variables in known["types"].items() for variable in variables}
    return Release(name, tuple(known["after"]), frozenset(known["services"]), frozenset(known["groups"]), types)
