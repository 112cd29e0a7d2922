"""YAML as a person would write it, texts of several lines as blocks: far faster than a general writer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

# Words that no reader of YAML, old or new, takes for anything but text; everything else is quoted.
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_/.+-]*")
_NOT_TEXT = re.compile(r"(y|n|yes|no|on|off|true|false|null)", re.IGNORECASE)


def yaml_text(document: dict[str, Any]) -> str:
    """A document of objects, lists, texts, whole numbers, true and false."""
    return "".join(_lines(document, ""))


def _lines(value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, dict):
        entries = [(f"{indent}{key}:", item, f"{indent}  ") for key, item in value.items()]
    else:
        entries = [(f"{indent}-", item, f"{indent}  ") for item in value]
    for head, item, below in entries:
        if not isinstance(item, (dict, list)):
            yield f"{head} {_scalar(item, below)}\n"
        elif not item:
            yield f"{head} {json.dumps(item)}\n"
        elif head.endswith("-"):
            # The first line of what is in a list stands behind the dash.
            yield f"{head} " + "".join(_lines(item, below))[len(below) :]
        else:
            yield f"{head}\n"
            yield from _lines(item, below)


def _scalar(value: Any, below: str) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if _is_block(value):
        return "|\n" + "\n".join(below + line if line else "" for line in value[:-1].split("\n"))
    if _PLAIN.fullmatch(value) and not _NOT_TEXT.fullmatch(value):
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return quoted if quoted.isprintable() else "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)


def _is_block(value: str) -> bool:
    """Whole lines of printable text, the first and the last of which are not blank."""
    whole = value.endswith("\n") and not value[0].isspace() and not value[-2].isspace()
    return whole and value.replace("\n", "").replace("\t", "").isprintable()
