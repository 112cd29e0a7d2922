"""The schema of a package says what its tables do."""

from __future__ import annotations

import pytest

from plugins.providers import load
from plugins.providers.package_schema import package_schema
from plugins.providers.schema import Prop, ResourceType
from plugins.ssh import Session

THING = ResourceType(
    "some:module/thing:Thing",
    {
        "name": Prop(required=True, replace=True),
        "size": Prop("whole", default=3),
        "mode": Prop(allowed=("a", "b")),
        "login": Prop("object", fields={"password": Prop(secret=True, required=True)}),
        "rules": Prop("set", of=Prop("object", fields={"port": Prop("whole")}), replace=True),
        "labels": Prop("map", of=Prop()),
        "extra": Prop("any"),
    },
    computed=("size", "key"),
    secret_outputs=frozenset({"key"}),
)


def test_a_resource_is_described_as_its_table_checks_it() -> None:
    schema = package_schema("some", "1.2.3", [THING], {"host": Prop(required=True)})
    assert (schema["name"], schema["version"]) == ("some", "1.2.3")
    assert schema["provider"] == {"inputProperties": {"host": {"type": "string"}}, "requiredInputs": ["host"]}
    assert schema["config"] == {"variables": {"host": {"type": "string"}}}
    thing = schema["resources"]["some:module/thing:Thing"]
    assert thing["requiredInputs"] == ["name"]
    assert thing["inputProperties"] == {
        "name": {"type": "string", "willReplaceOnChanges": True},
        "size": {"type": "integer", "default": 3},
        "mode": {"type": "string", "description": "One of a, b."},
        "login": {"$ref": "#/types/some:module:ThingLogin"},
        "rules": {"type": "array", "items": {"$ref": "#/types/some:module:ThingRules"}, "willReplaceOnChanges": True},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "extra": {"$ref": "pulumi.json#/Any"},
    }
    assert schema["types"]["some:module:ThingLogin"] == {
        "type": "object",
        "properties": {"password": {"type": "string", "secret": True}},
        "required": ["password"],
    }


def test_outputs_are_the_inputs_and_what_only_the_provider_sets() -> None:
    thing = package_schema("some", "1.2.3", [THING], {})["resources"]["some:module/thing:Thing"]
    assert thing["properties"].keys() == {*thing["inputProperties"], "key"}
    assert thing["properties"]["name"] == {"type": "string", "replaceOnChanges": True}
    assert thing["properties"]["size"] == {"type": "integer"}, "a default is one of inputs"
    assert thing["properties"]["key"] == {"$ref": "pulumi.json#/Any", "secret": True}
    assert thing["required"] == ["key", "name", "size"]


@pytest.mark.parametrize("package", ["command", "docker", "minio", "random", "tls"])
def test_every_type_of_a_package_is_in_its_schema(package: str) -> None:
    known = load(Session())[package]
    assert known.schema("1.2.3")["resources"].keys() == known.types()
