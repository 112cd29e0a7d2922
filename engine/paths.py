"""Property paths such as `triggers[*]`, `spec.replicas` or `labels["a.b"]`, as resource options name them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from engine.errors import EngineError
from engine.provider import Properties
from engine.values import Secret

Path = tuple[str | int, ...]
_TOKEN = re.compile(r'\.?([^.\[\]"]+)|\.?\[(\d+|\*)\]|\.?\["((?:[^"\\]|\\.)*)"\]')
_MISSING = object()


def parse(text: str) -> Path:
    """The path's steps; `*` stands for every element or key."""
    steps: list[str | int] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise EngineError(f"property path {text!r} cannot be read at character {position + 1}")
        name, index, quoted = match.groups()
        if quoted is not None:
            steps.append(re.sub(r"\\(.)", r"\1", quoted))
        elif index is not None:
            steps.append(index if index == "*" else int(index))
        else:
            steps.append(name)
        position = match.end()
    return tuple(steps)


def overlaps(pattern: Path, path: Path) -> bool:
    """Whether one path lies inside the other, `*` in the pattern matching any step."""
    return all(step in ("*", other) for step, other in zip(pattern, path, strict=False))


def keep_old(news: Properties, olds: Properties, ignored: Sequence[str]) -> Properties:
    """New inputs with what the ignored paths name put back to its old value (or absence)."""
    result: Any = news
    for text in ignored:
        result = _keep(result, olds, parse(text))
    return dict(result)


def _keep(new: Any, old: Any, path: Path) -> Any:
    if not path:
        return old
    if isinstance(new, Secret) and isinstance(old, Secret):
        kept = _keep(new.value, old.value, path)
        return kept if kept is _MISSING else Secret(kept)
    if isinstance(new, Secret):
        return _keep(new.value, old, path)
    if isinstance(old, Secret):
        old = old.value
    step, rest = path[0], path[1:]
    if isinstance(new, dict) and isinstance(old, dict):
        for key in sorted({*new, *old}) if step == "*" else [str(step)]:
            if rest and not (key in new and key in old):
                continue
            kept = _keep(new.get(key, _MISSING), old.get(key, _MISSING), rest)
            new = {name: item for name, item in new.items() if name != key}
            if kept is not _MISSING:
                new[key] = kept
        return new
    if isinstance(new, list) and isinstance(old, list):
        if step == "*" and not rest:
            return old
        indices = range(min(len(new), len(old))) if step == "*" else [step]
        new = list(new)
        for index in indices:
            if isinstance(index, int) and index < len(new) and index < len(old):
                new[index] = _keep(new[index], old[index], rest)
    return new
