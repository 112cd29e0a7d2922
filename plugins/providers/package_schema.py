"""A package's schema, as `pulumi package get-schema` prints it: the tables that inputs are checked by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from plugins.providers.schema import Prop, ResourceType

_PLAIN = {"text": "string", "whole": "integer", "number": "number", "flag": "boolean"}
_ANY: dict[str, Any] = {"$ref": "pulumi.json#/Any"}


def package_schema(
    name: str, version: str, resources: Iterable[ResourceType], config: Mapping[str, Prop]
) -> dict[str, Any]:
    """The schema in the words of Pulumi's metaschema."""
    types: dict[str, Any] = {}
    settings = _properties(config, f"{name}:index:Provider", types)
    return {
        "name": name,
        "version": version,
        # Of `index/container:Container` the module is `index`.
        "meta": {"moduleFormat": "^([^/]*)"},
        "config": {"variables": settings},
        "provider": {"inputProperties": settings, "requiredInputs": _required(config)},
        "resources": {resource.token: _resource(resource, types) for resource in resources},
        "types": types,
    }


def _resource(resource: ResourceType, types: dict[str, Any]) -> dict[str, Any]:
    package, module, name = resource.token.split(":")
    given = _properties(resource.fields, f"{package}:{module.split('/')[0]}:{name}", types)
    inputs, outputs = {}, {}
    for key, spec in given.items():
        replaces = resource.fields[key].replace
        inputs[key] = {**spec, **({"willReplaceOnChanges": True} if replaces else {})}
        seen = {part: value for part, value in spec.items() if part != "default"}
        outputs[key] = {**seen, **({"replaceOnChanges": True} if replaces else {})}
    # The tables say nothing of the type of what only the provider sets.
    outputs |= {key: dict(_ANY) for key in resource.computed if key not in outputs}
    for key in resource.secret_outputs:
        outputs[key] = {**outputs.get(key, _ANY), "secret": True}
    return {
        "inputProperties": inputs,
        "requiredInputs": _required(resource.fields),
        "properties": outputs,
        "required": sorted({*_required(resource.fields), *resource.computed}),
    }


def _required(fields: Mapping[str, Prop]) -> list[str]:
    return sorted(key for key, prop in fields.items() if prop.required)


def _properties(fields: Mapping[str, Prop], owner: str, types: dict[str, Any]) -> dict[str, Any]:
    """The properties by name; objects among them are added to `types`, named after their owner and themselves."""
    return {key: _property(prop, f"{owner}{key[0].upper()}{key[1:]}", types) for key, prop in fields.items()}


def _property(prop: Prop, token: str, types: dict[str, Any]) -> dict[str, Any]:
    spec = _type(prop, token, types)
    if prop.default is not None:
        spec["default"] = prop.default
    if prop.secret:
        spec["secret"] = True
    if prop.allowed:
        spec["description"] = f"One of {', '.join(prop.allowed)}."
    return spec


def _type(prop: Prop, token: str, types: dict[str, Any]) -> dict[str, Any]:
    if prop.kind in _PLAIN:
        return {"type": _PLAIN[prop.kind]}
    if prop.kind == "object":
        properties = _properties(prop.fields, token, types)
        types[token] = {"type": "object", "properties": properties, "required": _required(prop.fields)}
        return {"$ref": f"#/types/{token}"}
    item = _type(prop.of, token, types) if prop.of else dict(_ANY)
    if prop.kind in ("list", "set"):
        return {"type": "array", "items": item}
    return {"type": "object", "additionalProperties": item} if prop.kind == "map" else dict(_ANY)
