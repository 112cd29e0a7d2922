"""What the inputs of a resource look like, and what that says about checking and comparing them.

One table per resource type answers four questions: is a property known, does its value fit, what is its default, and
does a change replace the resource. Everything else about a resource is in its own module.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from plugins.interface import UNKNOWN, CheckFailure, Properties

Kind = Literal["text", "whole", "number", "flag", "list", "set", "map", "object", "any"]

DEFAULTS = "__defaults"
"""Where the published providers list the inputs that the user did not write; they go on with a state of ours."""

NOT_HERE = "is not supported by Berth's own providers; remove it, or deploy with the published Pulumi plugins"


@dataclass(frozen=True)
class Prop:
    """One input property."""

    kind: Kind = "text"
    of: Prop | None = None
    fields: Mapping[str, Prop] = field(default_factory=dict)
    required: bool = False
    default: Any = None
    replace: bool = False
    secret: bool = False
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResourceType:
    """The facts about one resource type that need no code."""

    token: str
    fields: Mapping[str, Prop]
    computed: tuple[str, ...] = ()
    secret_outputs: frozenset[str] = frozenset()
    auto_name: bool = False
    """Fill in `name` from the resource's own name and a random end, as Terraform-based providers do."""
    delete_before_replace: bool = False
    marks_defaults: bool = True


TEXT = Prop()
TEXTS = Prop("list", of=TEXT)
TEXT_SET = Prop("set", of=TEXT)
TEXT_MAP = Prop("map", of=TEXT)
WHOLE = Prop("whole")
FLAG = Prop("flag")


def problems(fields: Mapping[str, Prop], values: Mapping[str, Any], where: str = "") -> list[CheckFailure]:
    """Every property that is unknown, missing or of the wrong type."""
    found = [CheckFailure(f"{where}{name}", NOT_HERE) for name in values if name not in fields and name != DEFAULTS]
    for name, prop in fields.items():
        value = values.get(name)
        if value is None:
            if prop.required:
                found.append(CheckFailure(f"{where}{name}", "is required; set it"))
        else:
            found += _misfits(prop, value, f"{where}{name}")
    return found


def _misfits(prop: Prop, value: Any, path: str) -> list[CheckFailure]:
    if value is UNKNOWN or value is None or prop.kind == "any":
        return []
    wrong = [CheckFailure(path, f"must be {_WORDS[prop.kind]}, not {type(value).__name__}")]
    if prop.kind == "object":
        return problems(prop.fields, value, f"{path}.") if isinstance(value, Mapping) else wrong
    if prop.kind == "map":
        if not isinstance(value, Mapping):
            return wrong
        items = [(f"{path}.{key}", item) for key, item in value.items()]
    elif prop.kind in ("list", "set"):
        if not isinstance(value, list):
            return wrong
        items = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    else:
        if not _fits(prop.kind, value):
            return wrong
        if prop.allowed and value not in prop.allowed:
            return [CheckFailure(path, f"must be one of {', '.join(prop.allowed)}, not {value!r}")]
        return []
    return [failure for where, item in items for failure in _misfits(prop.of or ANY, item, where)]


ANY = Prop("any")
_WORDS = {
    "text": "a string",
    "whole": "a whole number",
    "number": "a number",
    "flag": "true or false",
    "list": "a list",
    "set": "a list",
    "map": "a map",
    "object": "an object",
}


def _fits(kind: Kind, value: Any) -> bool:
    if kind == "text":
        return isinstance(value, str)
    if kind == "flag":
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return kind == "number" or float(value).is_integer()


def with_defaults(fields: Mapping[str, Prop], values: Mapping[str, Any], mark: bool) -> Properties:
    """The values with defaults filled in, nulls left out and, where `mark` says so, the defaults listed."""
    filled: Properties = {name: value for name, value in values.items() if value is not None and name != DEFAULTS}
    defaulted = [name for name, prop in fields.items() if prop.default is not None and name not in filled]
    for name, prop in fields.items():
        if name in filled:
            filled[name] = _deep_defaults(prop, filled[name], mark)
        elif prop.default is not None:
            filled[name] = prop.default
    if mark:
        filled[DEFAULTS] = sorted(defaulted)
    return filled


def _deep_defaults(prop: Prop, value: Any, mark: bool) -> Any:
    if prop.kind == "object" and isinstance(value, Mapping):
        return with_defaults(prop.fields, value, mark)
    if prop.kind in ("list", "set") and prop.of is not None and isinstance(value, list):
        return [_deep_defaults(prop.of, item, mark) for item in value]
    return value


def secret_paths(fields: Mapping[str, Prop], values: Mapping[str, Any], where: str = "") -> set[str]:
    """Dotted paths of the given values that the schema declares secret."""
    found: set[str] = set()
    for name, prop in fields.items():
        value = values.get(name)
        if value is None:
            continue
        if prop.secret:
            found.add(f"{where}{name}")
        if prop.kind == "object" and isinstance(value, Mapping):
            found |= secret_paths(prop.fields, value, f"{where}{name}.")
    return found


def plain(value: Any) -> Any:
    """The value without the lists of defaults, at any depth."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items() if key != DEFAULTS}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def canonical(prop: Prop, value: Any) -> Any:
    """A form in which two values that mean the same compare equal: empty is absent, sets have no order."""
    if value is UNKNOWN:
        return value
    if prop.kind == "object" and isinstance(value, Mapping):
        items = {name: canonical(prop.fields.get(name, ANY), item) for name, item in value.items() if name != DEFAULTS}
        return {name: item for name, item in items.items() if item is not None} or None
    if prop.kind == "map" and isinstance(value, Mapping):
        return {key: item for key, item in value.items() if key != DEFAULTS} or None
    if prop.kind in ("list", "set") and isinstance(value, list):
        members = [canonical(prop.of or ANY, item) for item in value]
        if prop.kind == "set":
            members.sort(key=lambda item: json.dumps(item, sort_keys=True, default=str))
        return members or None
    if value in ("", 0, False) or value is None:
        return None
    return value
