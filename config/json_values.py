"""YAML can express more than JSON: dates, sets, cycles. Settings are JSON, as Pulumi passes them on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from config.problems import Problem, key_path

# A thousand nodes with a configuration each take a quarter of it.
_MAX_BYTES = 4 << 20
_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False)
_FIX = (
    "Write quoted text (dates, too), finite numbers, true, false, lists or objects, and no alias inside its own anchor."
)


def as_json(config: Mapping[Any, object]) -> tuple[dict[str, Any], list[Problem]]:
    """The settings below `config:` in types of JSON, and a problem for each that has none, or only an enormous text."""
    values: dict[str, Any] = {}
    problems = []
    for key, value in config.items():
        reason = _reason({key: value})
        if reason:
            problems.append(Problem(key_path(str(key)), f"cannot be written as JSON: {reason}.", _FIX))
        else:
            # Parsers that keep comments have types of their own.
            values |= json.loads(json.dumps({key: value}))
    return values, problems


def _reason(value: object) -> str | None:
    size = 0
    try:
        # In pieces, so that aliases of aliases end at the limit and not at the end of the memory.
        for text in _ENCODER.iterencode(value):
            size += len(text.encode())
            if size > _MAX_BYTES:
                return f"it is larger than {_MAX_BYTES >> 20} MiB, perhaps because aliases multiply"
    except (TypeError, ValueError, RecursionError) as error:
        # The text of a UnicodeEncodeError contains a part of the value.
        return str(getattr(error, "reason", error))
    return None
