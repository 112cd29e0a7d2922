"""`python -m config.schema` writes config/schema.json: what an editor needs to complete and check a stack file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from config.model.stack import StackSettings
from config.naming import PROJECT

FILE = Path(__file__).with_name("schema.json")

# What `pulumi config set --secret` writes.
_SECURE = {
    "type": "object",
    "description": "An encrypted value, written by `pulumi config set --secret`.",
    "properties": {"secure": {"type": "string"}},
    "required": ["secure"],
    "additionalProperties": False,
}
_PAIR = {"type": "array", "description": "The old password and the new one.", "items": _SECURE, "maxItems": 2}
_SECRETS = {
    "type": "object",
    "description": "Passwords of users whose `password` is `configured`, and of upstreams with a `user`; hashes of the "
    "nodes' accounts (nodeUsers) and texts of their secret files (nodeFiles). Set each with "
    "`pulumi config set --secret --path 'berth:secrets.users.NAME'`.",
    "properties": {
        "users": {"type": "object", "additionalProperties": {"anyOf": [_SECURE, _PAIR]}},
        "upstreams": {"type": "object", "additionalProperties": _SECURE},
        "nodeUsers": {"type": "object", "additionalProperties": _SECURE},
        "nodeFiles": {"type": "object", "additionalProperties": _SECURE},
        "secure": {"type": "string"},
    },
    "additionalProperties": False,
}


def schema() -> dict[str, Any]:
    """The JSON schema of a whole stack file."""
    model = StackSettings.model_json_schema(by_alias=True)
    settings = {f"{PROJECT}:{key}": value for key, value in model["properties"].items()}
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Stack file of Berth",
        "type": "object",
        "properties": {
            "config": {
                "type": "object",
                "description": StackSettings.__doc__,
                "properties": {**settings, f"{PROJECT}:secrets": _SECRETS},
                "required": [f"{PROJECT}:{key}" for key in model["required"]],
                "patternProperties": {"^pulumi:": {}},
                "additionalProperties": False,
            },
            "encryptionsalt": {"type": "string", "description": "Written by Pulumi: salt of the stack's passphrase."},
            "encryptedkey": {"type": "string", "description": "Written by Pulumi: the stack's encrypted key."},
            "secretsprovider": {"type": "string", "description": "Written by Pulumi: who encrypts the secrets."},
        },
        "required": ["config"],
        "additionalProperties": False,
        "$defs": model["$defs"],
    }
    cleaned: dict[str, Any] = _without_noise(document)
    return cleaned


def text() -> str:
    """The file's content."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _without_noise(value: Any, names: bool = False) -> Any:
    """Drop titles (the key in other letters) and defaults that are derived or documented elsewhere; join long lines."""
    if isinstance(value, list):
        return [_without_noise(item) for item in value]
    if not isinstance(value, dict):
        return value
    noise = set() if "$schema" in value else {"title"}
    if "$ref" in value or value.get("default") in ("", None):
        noise.add("default")
    kept = {}
    for key, item in value.items():
        # Below `properties` and `$defs` the keys are names, not keywords of JSON schema.
        if not names and key in noise:
            continue
        if not names and key == "description":
            kept[key] = " ".join(str(item).split())
        elif not names and key in ("default", "examples"):
            kept[key] = item
        else:
            kept[key] = _without_noise(item, names=not names and key in ("properties", "$defs"))
    return kept


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
