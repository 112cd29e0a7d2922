"""Writes `berth:pins` into a stack file's text and leaves every other byte as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from operations.errors import BerthError

KEY = "berth:pins"
NOTE = "# written by `berth promote`"


def with_pins(name: str, text: str, pins: Mapping[str, Any]) -> str:
    """The file's text with these pins; refused where nothing but a rewrite of the whole file could do it."""
    config = _config(text)
    if config is None:
        raise BerthError(f"{name} has no settings under `config:` to put pins beside: correct it first.")
    if _pins_of(_parsed(text)) == pins:
        return text
    edited = _edited(text, config, pins)
    if _parsed(edited) != _wanted(_parsed(text), pins):
        raise BerthError(
            f"{name} is written in a way in which {KEY} can't be set without rewriting it: "
            "write `config:` out, without aliases, merges or a `berth:pins` that others refer to."
        )
    return edited


def _parsed(text: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except Exception:  # whatever the parser makes of it, it is no file that may be written
        return None


def _pins_of(document: Any) -> Any:
    return document["config"].get(KEY)


def _wanted(document: Any, pins: Mapping[str, Any]) -> Any:
    return {**document, "config": {**document["config"], KEY: pins}}


def _config(text: str) -> MappingNode | None:
    root = YAML(typ="safe", pure=True).compose(text)
    value = _value(root, "config")
    return value if isinstance(value, MappingNode) and value.value else None


def _value(node: Node | None, key: str) -> Node | None:
    pairs = node.value if isinstance(node, MappingNode) else ()
    return next((value for name, value in pairs if name.value == key), None)


@dataclass(frozen=True)
class _Change:
    """Replaces what is between two positions of the text."""

    start: int
    end: int
    new: str


def _edited(text: str, config: MappingNode, pins: Mapping[str, Any]) -> str:
    change = _in_flow(config, pins) if config.flow_style else _in_block(text, config, pins)
    return text[: change.start] + change.new + text[change.end :]


def _in_flow(config: MappingNode, pins: Mapping[str, Any]) -> _Change:
    entry = f"{json.dumps(KEY)}: {json.dumps(pins, ensure_ascii=False)}"
    for key, value in config.value:
        if key.value == KEY:
            return _Change(key.start_mark.index, _end(key, value), entry)
    after = _end(*config.value[-1])
    return _Change(after, after, f", {entry}")


def _in_block(text: str, config: MappingNode, pins: Mapping[str, Any]) -> _Change:
    indent = config.value[0][0].start_mark.column
    newline = "\r\n" if "\r\n" in text else "\n"
    block = _block(pins, indent).replace("\n", newline)
    for key, value in config.value:
        if key.value == KEY:
            return _Change(key.start_mark.index - indent, _line_end(text, _end(key, value)), block)
    after = _past_comments(text, _line_end(text, _end(*config.value[-1])), indent)
    glue = "" if text[:after].endswith("\n") else newline
    return _Change(after, after, glue + block)


def _block(pins: Mapping[str, Any], indent: int) -> str:
    writer = YAML()
    writer.width = 4096
    out = StringIO()
    writer.dump(pins, out)
    lines = [f"{KEY}: {NOTE}", *(f"  {line}" for line in out.getvalue().splitlines())]
    return "".join(f"{' ' * indent}{line}\n" for line in lines)


def _end(key: Node, value: Node) -> int:
    """Where the last thing written in an entry ends: a block's own end mark lies behind the comments after it."""
    if value.start_mark.index == value.end_mark.index:
        return int(key.end_mark.index)
    if isinstance(value, MappingNode | SequenceNode) and not value.flow_style and value.value:
        last = value.value[-1]
        return _end(*last) if isinstance(last, tuple) else _end(value, last)
    return int(value.end_mark.index)


def _line_end(text: str, at: int) -> int:
    """The beginning of the next line; of this one, if something that ends with its line has just ended."""
    if at and text[at - 1] == "\n":
        return at
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def _past_comments(text: str, at: int, indent: int) -> int:
    """Behind the comments that follow a block with its indentation: they belong to what is above them."""
    while True:
        end = _line_end(text, at + 1) if at < len(text) else at
        line = text[at:end]
        if not line.lstrip(" ").startswith("#") or len(line) - len(line.lstrip(" ")) < indent:
            return at
        at = end
