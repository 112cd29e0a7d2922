"""YAML as a person would write it: whole lines as blocks, and what could be taken for more than text in quotes."""

from __future__ import annotations

import re
from typing import Any

import yaml

# Words that no reader of YAML, old or new, takes for anything but text; everything else is quoted.
_PLAIN = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)$)[A-Za-z/][A-Za-z0-9_/.+-]*", re.IGNORECASE)


class _Dumper(yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper):  # type: ignore[misc]
    """libyaml's writer, several times as fast; the one in Python writes the same but for letters beyond U+FFFF."""

    def ignore_aliases(self, data: Any) -> bool:
        """Nothing is written as a reference to its first mention, which old readers do not know."""
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    # libyaml itself puts a block that would not be read back as it was into quotes.
    style = "|" if value.endswith("\n") and value[0] != "\n" else None if _PLAIN.fullmatch(value) else '"'
    node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", value, style)
    return node


_Dumper.add_representer(str, _text)


def yaml_text(document: dict[str, Any]) -> str:
    """A document of objects, lists, texts, whole numbers, true and false."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**9)
