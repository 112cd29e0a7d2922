"""YAML can say more than JSON: dates, sets, cycles. Settings are JSON, for that is how Pulumi hands them on."""

from __future__ import annotations

import math
from collections.abc import Iterator

from config.problems import Location, Problem, key_path, kind

_DEEPEST = 24
_MOST = 50_000
_LARGEST = 2**53
_FIX = "Write text in quotes, whole numbers, true, false, lists or objects."


def not_plain(value: object) -> list[Problem]:
    """What could not be handed on as JSON; nothing else may be asked of such a value."""
    problems: list[Problem] = []
    for seen, problem in enumerate(_walk(value, ())):
        if problem is not None:
            problems.append(problem)
        if seen >= _MOST:
            fix = "Remove YAML aliases that multiply."
            return [Problem("config", f"has more than {_MOST} values.", fix)]
    return problems


def _walk(value: object, at: Location) -> Iterator[Problem | None]:
    """Every value below, as None where it is plain."""
    if len(at) > _DEEPEST:
        yield Problem(
            _place(at), f"is nested deeper than {_DEEPEST} levels.", "Remove YAML aliases that contain themselves."
        )
    elif isinstance(value, dict):
        yield None
        for key, item in value.items():
            if not isinstance(key, str) or not _encodable(key):
                yield Problem(_place(at), f"has a key that is {kind(key)}.", "Write every key as plain text.")
            else:
                yield from _walk(item, (*at, key))
    elif isinstance(value, list):
        yield None
        for index, item in enumerate(value):
            yield from _walk(item, (*at, index))
    elif isinstance(value, str):
        wrong = "contains half of a UTF-16 pair, which is no letter."
        yield None if _encodable(value) else Problem(_place(at), wrong, "Write the letter itself.")
    elif isinstance(value, float):
        yield None if math.isfinite(value) else Problem(_place(at), "is not a finite number.", _FIX)
    elif isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        yield Problem(_place(at), "is a number too large for JSON.", _FIX)
    elif value is None or isinstance(value, (bool, int)):
        yield None
    else:
        yield Problem(_place(at), f"is read by YAML as {kind(value)}.", _FIX)


def _place(at: Location) -> str:
    """Here a location begins with the whole key of the file (`berth:nodes`)."""
    if at[:1] == ("config",):
        at = at[1:]
    if not at:
        return "config"
    key, *below = at
    return key_path(str(key), *below)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
