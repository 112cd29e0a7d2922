"""YAML can express more than JSON: dates, sets, cycles. Settings are JSON, as Pulumi passes them on."""

from __future__ import annotations

import json

from config.problems import Problem, key_path

# A thousand nodes with a configuration each take a quarter of it.
_MAX_BYTES = 4 << 20
_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False)
_FIX = (
    "Write quoted text (dates, too), finite numbers, true, false, lists or objects, and no alias inside its own anchor."
)


def not_json(config: object) -> list[Problem]:
    """A problem for each key below `config:` that JSON cannot express, or only in an enormous text."""
    parts = config.items() if isinstance(config, dict) else [("config", config)]
    found = ((key_path(str(key)), _reason({key: value})) for key, value in parts)
    return [Problem(place, f"cannot be written as JSON: {reason}.", _FIX) for place, reason in found if reason]


def _reason(value: object) -> str | None:
    size = 0
    try:
        # In pieces, so that aliases of aliases end at the limit and not at the end of the memory.
        for text in _ENCODER.iterencode(value):
            size += len(text.encode())
            if size > _MAX_BYTES:
                return f"it is larger than {_MAX_BYTES >> 20} MiB, perhaps because aliases multiply"
    except (TypeError, ValueError, RecursionError) as error:
        return str(error)
    return None
