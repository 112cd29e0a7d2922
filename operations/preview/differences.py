"""Differences as text: files of a bundle, and every other property."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from components.lib.host_files import parse
from operations.preview.plan import Change
from operations.pulumi import values

LONGEST = 120
_NO_NEWLINE = "\\ no newline at the end"
_RUNS_AGAIN = ("create", "update", "triggers")
"""Of a command: a script of the program's own, in which nobody looks for what changes on a node."""
_DOOR = ("host", "port", "user", "hostKey")


@dataclass(frozen=True)
class Difference:
    """One file or property that changes: what it is, what happens to it, and the lines of the difference."""

    title: str
    what: str
    lines: tuple[str, ...] = ()


def files(change: Change) -> list[Difference] | None:
    """The files that a changed bundle changes; None where there is no bundle to take apart."""
    before, after = (r.open.get("stdin") if r else None for r in (change.old, change.new))
    if not parse.is_bundle(before) and not parse.is_bundle(after):
        return None
    if after is not None and not parse.is_bundle(after):
        title = f"files of {change.resource.stage}"
        return [Difference(title, "known only during up: they depend on what is made or replaced then")]
    old = parse.parse(str(before)).entries if before else {}
    new = parse.parse(str(after)).entries if after else {}
    return [_file(old.get(key), new.get(key)) for key in {**old, **new} if old.get(key) != new.get(key)]


def _file(old: parse.Entry | None, new: parse.Entry | None) -> Difference:
    entry = new or old
    assert entry is not None
    title = {"block": f"{entry.path} (block)", "directory": f"{entry.path}/"}.get(entry.kind, entry.place)
    if new is None:
        return Difference(title, "no longer Berth's: what was there before comes back")
    words = []
    if old is not None:
        words += [f"mode {old.mode} -> {new.mode}"] if old.mode != new.mode else []
        words += [f"owner {old.owner} -> {new.owner}"] if old.owner != new.owner else []
    if any(known is not None and known.is_secret for known in (old, new)):
        if old is None:
            words.append("new (contents are secret)")
        elif old.body != new.body:
            words.append("changed (contents are secret)")
        return Difference(title, ", ".join(words))
    if old is None:
        words.append(f"new, mode {new.mode}" if new.mode else "new")
    elif old.body != new.body:
        words.append("changed")
    return Difference(title, ", ".join(words), _unified(old.body if old else "", new.body))


def properties(change: Change) -> list[Difference]:
    """Everything else that changes in a resource, by property; of a new or deleted one nothing is listed."""
    if change.old is None or change.new is None:
        return []
    before, after = change.old.inputs, change.new.inputs
    found = []
    for key in sorted({*before, *after} - {"__defaults"}):
        if before.get(key) == after.get(key) or (key == "stdin" and files(change) is not None):
            continue
        found.append(_property(key, before.get(key), after.get(key)))
    return found


def is_script_only(change: Change) -> bool:
    """Whether a command runs again for a changed script alone, with the same input."""
    if change.op != "update" or change.old is None or change.new is None:
        return False
    before, after = change.old.inputs, change.new.inputs
    changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    return bool(changed) and changed <= {"create", "update", "delete"}


def _property(key: str, before: Any, after: Any) -> Difference:
    if key == "connection":
        before, after = _door(before), _door(after)
    elif key in _RUNS_AGAIN:
        return Difference(key, "changed: it runs again")
    old, new = values.shown(before), values.shown(after)
    if old == new:
        return Difference(key, "changed (it is secret)")
    return Difference(key, "changed", _unified(_text(old), _text(new)))


def _door(connection: Any) -> Any:
    known = values.opened(connection)
    return {key: known.get(key) for key in _DOOR} if isinstance(known, Mapping) else connection


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _unified(old: str, new: str) -> tuple[str, ...]:
    """Lines of a unified difference with two lines around each change; a long one is cut."""
    lines = list(_clean(difflib.unified_diff(_lines(old), _lines(new), n=2, lineterm="")))
    if len(lines) > LONGEST:
        return (*lines[:LONGEST], f"... {len(lines) - LONGEST} more lines")
    return tuple(lines)


def _lines(text: str) -> list[str]:
    lines = text.splitlines()
    return [*lines, _NO_NEWLINE] if "\n" in text and not text.endswith("\n") else lines


def _clean(lines: Iterator[str]) -> Iterator[str]:
    """Without the two lines that would name the files."""
    return (line for number, line in enumerate(lines) if number > 1)
