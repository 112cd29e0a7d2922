"""The JSON schema for editors: current, documented, and of one mind with the models."""

from __future__ import annotations

import json
from typing import Any

import pytest

from config import schema
from tests.unit.config.stacks import STACKS, document

CURRENT = schema.schema()


def test_the_committed_schema_is_current() -> None:
    assert schema.FILE.read_text("utf-8") == schema.text(), "run `python -m config.schema`"


def test_every_setting_is_documented() -> None:
    for name, definition in CURRENT["$defs"].items():
        for key, setting in definition.get("properties", {}).items():
            assert setting.get("description"), f"{name}.{key} has no docstring"


def test_unknown_keys_are_refused_by_the_schema_too() -> None:
    for name, definition in CURRENT["$defs"].items():
        assert definition.get("type") != "object" or definition["additionalProperties"] is False, name


@pytest.mark.parametrize("stack", STACKS)
def test_the_committed_stack_files_match_the_schema(stack: str) -> None:
    assert list(mismatches(CURRENT, document(stack))) == []


def test_a_misspelt_key_is_no_wrong_type_and_no_encrypted_password() -> None:
    sealed = document("dev", {"secrets": {"users": {"bob": {"secure": "v1:x"}}}})
    assert list(mismatches(CURRENT, sealed)) == []
    broken = document("dev", {"registry.prot": 1, "registry.port": "4000", "secrets": {"users": {"bob": "plain"}}})
    assert len(list(mismatches(CURRENT, broken))) == 3


def mismatches(rule: dict[str, Any], value: Any) -> list[str]:
    """As much of JSON schema as this schema uses for shapes: types, properties, references, alternatives."""
    if "$ref" in rule:
        rule = CURRENT["$defs"][rule["$ref"].rsplit("/", 1)[1]]
    if "anyOf" in rule:
        found = [mismatches(option, value) for option in rule["anyOf"]]
        return min(found, key=len)
    types = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
    expected = types.get(rule.get("type", ""))
    if expected and (not isinstance(value, expected) or (expected is int and isinstance(value, bool))):
        return [f"{json.dumps(value)} is not {rule['type']}"]
    wrong = [] if "enum" not in rule or value in rule["enum"] else [f"{value} is not one of {rule['enum']}"]
    if isinstance(value, list):
        wrong += [text for item in value for text in mismatches(rule.get("items", {}), item)]
    if isinstance(value, dict):
        wrong += [f"{key} is missing" for key in rule.get("required", []) if key not in value]
        for key, item in value.items():
            inner = rule.get("properties", {}).get(key, rule.get("additionalProperties", {}))
            wrong += [f"{key} is unknown"] if inner is False else mismatches(inner, item)
    return wrong
