"""Property values: what travels between the CLI and the providers, with secrets kept as objects of their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf import struct_pb2

from plugins.interface import UNKNOWN, Properties, ProviderError

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e"
UNSUPPORTED = {
    "c44067f5952c0a294b673a41bacd8c17": "an asset",
    "0def7320c3a5731c473e5ecbe6d01bc7": "an archive",
    "d0e6a833031e9bbcd3f4e8bde6ca49a4": "an output value",
}


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that is encrypted in the state and never shown."""

    value: Any


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """Properties as the SDK sends them; nulls are left out, whole floats become integers."""
    return {key: read for key, value in struct.fields.items() if (read := _from_wire(value, key)) is not None}


def _from_wire(value: struct_pb2.Value, path: str) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value == UNKNOWN.value else value.string_value
    if kind == "number_value":
        return _number(value.number_value)
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_from_wire(item, f"{path}[{index}]") for index, item in enumerate(value.list_value.values)]
    if kind != "struct_value":
        return None
    fields = value.struct_value.fields
    if SIGNATURE in fields:
        signature = fields[SIGNATURE].string_value
        if signature == SECRET:
            return Secret(_from_wire(fields["value"], path))
        if signature != RESOURCE:
            what = UNSUPPORTED.get(signature, "a value of a kind")
            raise ProviderError(f"property {path!r} holds {what}, which Berth's own plugins do not support")
    return {key: _from_wire(item, f"{path}.{key}") for key, item in fields.items()}


def _number(value: float) -> int | float:
    return int(value) if value.is_integer() else value


def to_struct(properties: Properties) -> struct_pb2.Struct:
    """Properties as the SDK reads them."""
    struct = struct_pb2.Struct()
    for key, value in properties.items():
        _to_wire(value, struct.fields[key])
    return struct


def _to_wire(value: Any, into: struct_pb2.Value) -> None:
    if isinstance(value, str):
        into.string_value = value
    elif value is UNKNOWN:
        into.string_value = UNKNOWN.value
    elif isinstance(value, bool):
        into.bool_value = value
    elif isinstance(value, int | float):
        into.number_value = value
    elif value is None:
        into.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, Secret):
        fields = into.struct_value.fields
        fields[SIGNATURE].string_value = SECRET
        _to_wire(value.value, fields["value"])
    elif isinstance(value, dict):
        fields = into.struct_value.fields
        into.struct_value.SetInParent()
        for key, item in value.items():
            _to_wire(item, fields[key])
    else:
        into.list_value.SetInParent()
        for item in value:
            _to_wire(item, into.list_value.values.add())


def to_json(value: Any) -> Any:
    """The value as JSON, its marks as they travel."""
    if isinstance(value, Secret):
        return {SIGNATURE: SECRET, "value": to_json(value.value)}
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return UNKNOWN.value if value is UNKNOWN else value


def from_json(value: Any) -> Any:
    """What `to_json` was given."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return Secret(from_json(value["value"]))
        return {key: from_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [from_json(item) for item in value]
    return UNKNOWN if value == UNKNOWN.value else value


def plain(value: Any) -> Any:
    """The value as a provider sees it: secrets unwrapped, resource references replaced by the resource's id or URN."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, dict):
        if value.get(SIGNATURE) == RESOURCE:
            return value.get("id") or value["urn"]
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return _number(value) if isinstance(value, float) else value


def has_unknown(value: Any) -> bool:
    """Whether any part of the value is known only after apply."""
    if isinstance(value, Secret):
        return has_unknown(value.value)
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN or value == UNKNOWN.value


def has_secret(value: Any) -> bool:
    """Whether any part of the value is secret."""
    if isinstance(value, dict):
        return any(has_secret(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_secret(item) for item in value)
    return isinstance(value, Secret)


def remark(value: Any, like: Any) -> Any:
    """The plain `value` with secrets where `like` has them; a list with one is secret as a whole, as in the CLI."""
    if isinstance(like, Secret):
        return Secret(remark(value, like.value))
    if isinstance(value, dict) and isinstance(like, dict):
        return {key: remark(item, like[key]) if key in like else item for key, item in value.items()}
    return Secret(value) if isinstance(value, list) and has_secret(like) else value


def mark(properties: Properties, paths: Iterable[str]) -> Properties:
    """The properties with the values at these dotted paths made secret, inside secrets too."""
    for path in paths:
        properties = _mark(properties, path.split("."))
    return properties


def _mark(value: Any, path: list[str]) -> Any:
    if isinstance(value, Secret):
        return Secret(_mark(value.value, path)) if path else value
    if not path:
        return Secret(value)
    if isinstance(value, dict) and path[0] in value:
        return {**value, path[0]: _mark(value[path[0]], path[1:])}
    return value


def secret_texts(value: Any, inside: bool = False) -> set[str]:
    """Every text that is secret in the value, to keep it out of messages."""
    if isinstance(value, Secret):
        # Of a secret object that names its secret parts (a connection), only those are hidden: its host is no secret.
        return secret_texts(value.value, not has_secret(value.value))
    if isinstance(value, dict):
        return {text for item in value.values() for text in secret_texts(item, inside)}
    if isinstance(value, list | tuple):
        return {text for item in value for text in secret_texts(item, inside)}
    return {value} if inside and isinstance(value, str) and len(value) > 3 else set()
