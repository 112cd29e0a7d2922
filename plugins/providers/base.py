"""The parts that all providers share: dispatch by type, checking and comparing by schema, names."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from plugins.interface import (
    UNKNOWN,
    Checked,
    CheckFailure,
    Context,
    Created,
    Diff,
    Imported,
    Properties,
    Provider,
    ProviderError,
)
from plugins.providers import schema
from plugins.providers.package_schema import package_schema
from plugins.providers.schema import DEFAULTS, Prop, ResourceType, canonical, plain

__all__ = ["Resource", "ResourceType", "TypedPackage", "TypedProvider", "logical_name"]


class Resource:
    """One resource type: what most types do alike; the rest overrides it."""

    type: ResourceType

    def check(self, urn: str, olds: Properties | None, news: Properties) -> Checked:
        """Refuse what is not known, fill in defaults, give a name."""
        given = dict(news)
        named = self.type.auto_name and given.get("name") is None
        if named:
            given["name"] = _auto_name(urn, olds)
        failures = schema.problems(self.type.fields, given)
        inputs = schema.with_defaults(self.type.fields, given, self.type.marks_defaults)
        if named and self.type.marks_defaults:
            inputs[DEFAULTS] = sorted([*inputs[DEFAULTS], "name"])
        if not failures:
            failures = self.validate(inputs)
        return Checked(inputs, failures, frozenset(schema.secret_paths(self.type.fields, inputs)))

    def validate(self, inputs: Properties) -> list[CheckFailure]:
        """Rules between properties."""
        return []

    def diff(self, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties) -> Diff:
        """Compare with what is known of the resource (its outputs), as the published providers do."""
        changed: list[str] = []
        replace: list[str] = []
        untold = old_inputs.get(DEFAULTS, [])
        for name, prop in self.type.fields.items():
            if name in news:
                old = old_outputs[name] if name in old_outputs else old_inputs.get(name)
            else:
                old = None if name in untold else old_inputs.get(name)
            if self.same(name, prop, old, news.get(name)):
                continue
            changed.append(name)
            if prop.replace:
                replace.append(name)
        return Diff(tuple(changed), tuple(replace), bool(replace) and self._delete_first(old_inputs, news))

    def same(self, name: str, prop: Prop, old: Any, new: Any) -> bool:
        """Whether two values of a property mean the same."""
        return bool(canonical(prop, old) == canonical(prop, new))

    def _delete_first(self, old_inputs: Properties, news: Properties) -> bool:
        # Two objects cannot have one name: a name that the user chose and kept must be free before it is used again.
        kept_name = self.type.auto_name and "name" not in news.get(DEFAULTS, []) and "name" in news
        return self.type.delete_before_replace or (kept_name and old_inputs.get("name") == news.get("name"))

    def preview(self, inputs: Properties) -> Created:
        """What is known of a resource before it exists."""
        return Created("", {**plain(inputs), **{name: UNKNOWN for name in self.type.computed if name not in inputs}})

    def preview_update(self, old_outputs: Properties, news: Properties) -> Properties:
        """What is known of a resource before it is changed in place."""
        return {**old_outputs, **news}

    def create(self, inputs: Properties, context: Context) -> Created:
        raise NotImplementedError

    def update(
        self, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties, context: Context
    ) -> Properties:
        """By default a change that replaces nothing only changes what is remembered."""
        gone = {name for name in self.type.fields if name in old_inputs and name not in news}
        return {**{name: value for name, value in old_outputs.items() if name not in gone}, **plain(news)}

    def delete(self, id_: str, inputs: Properties, outputs: Properties, context: Context) -> None:
        """By default there is nothing but the state."""

    def read(self, id_: str, inputs: Properties, outputs: Properties) -> Created | None:
        """By default the state is all there is."""
        return Created(id_, outputs)

    def import_(self, id_: str) -> Imported | None:
        """By default the type is one that the published plugin cannot import either."""
        raise ProviderError(
            f"resources of type {self.type.token} cannot be imported, nor with the published plugin; let `up` make it"
        )

    def imported_inputs(self, inputs: Properties) -> Checked:
        """Inputs of an imported resource, with the defaults that a program with these inputs would get."""
        fields = self.type.fields
        chosen = {name: value for name, value in inputs.items() if value != fields[name].default}
        filled = schema.with_defaults(fields, chosen, self.type.marks_defaults)
        if self.type.auto_name and self.type.marks_defaults:
            # A program that gives no name keeps the one that the resource has.
            filled[DEFAULTS] = sorted([*filled[DEFAULTS], "name"])
        return Checked(filled, [], frozenset(schema.secret_paths(fields, filled)))


class TypedProvider(Provider):
    """A provider made of resources, one per type."""

    def __init__(self, resources: list[Resource]) -> None:
        self._resources = {resource.type.token: resource for resource in resources}

    def _of(self, type_: str) -> Resource:
        try:
            return self._resources[type_]
        except KeyError:
            raise ProviderError(f"resource type {type_} {schema.NOT_HERE}") from None

    def check(self, type_: str, urn: str, olds: Properties | None, news: Properties) -> Checked:
        return self._of(type_).check(urn, olds, news)

    def diff(self, type_: str, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties) -> Diff:
        return self._of(type_).diff(id_, old_inputs, old_outputs, news)

    def create(self, type_: str, inputs: Properties, context: Context) -> Created:
        resource = self._of(type_)
        return resource.preview(inputs) if context.preview else resource.create(plain(inputs), context)

    def update(
        self, type_: str, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties, context: Context
    ) -> Properties:
        resource = self._of(type_)
        if context.preview:
            return resource.preview_update(old_outputs, plain(news))
        return resource.update(id_, plain(old_inputs), old_outputs, plain(news), context)

    def delete(self, type_: str, id_: str, inputs: Properties, outputs: Properties, context: Context) -> None:
        self._of(type_).delete(id_, plain(inputs), outputs, context)

    def read(self, type_: str, id_: str, inputs: Properties, outputs: Properties) -> Created | None:
        return self._of(type_).read(id_, plain(inputs), outputs)

    def import_(self, type_: str, id_: str) -> Imported | None:
        found = self._of(type_).import_(id_)
        return found and replace(found, outputs=plain(found.outputs))

    def secret_outputs(self, type_: str) -> frozenset[str]:
        return self._of(type_).type.secret_outputs

    def close(self) -> None:
        """By default there is nothing to release."""


class Make(Protocol):
    """How a package makes a configured provider."""

    def __call__(self, config: Properties) -> TypedProvider: ...


@dataclass
class TypedPackage:
    """A provider package whose configuration is described by a schema, too."""

    name: str
    make: Make
    resources: tuple[ResourceType, ...]
    config: Mapping[str, Prop] = field(default_factory=dict)
    validate: Callable[[Properties], list[CheckFailure]] = lambda config: []
    end_waiting: Callable[[], None] = lambda: None

    def types(self) -> frozenset[str]:
        return frozenset(resource.token for resource in self.resources)

    def schema(self, version: str) -> Properties:
        return package_schema(self.name, version, self.resources, self.config)

    def cancel(self) -> None:
        self.end_waiting()

    def configure(self, inputs: Properties) -> Provider:
        return self.make({name: value for name, value in inputs.items() if name in self.config})

    def check_config(self, inputs: Properties) -> Checked:
        given = {name: value for name, value in inputs.items() if name not in ("version", "pluginDownloadURL")}
        known = {name: value for name, value in given.items() if not name.startswith("__")}
        secret = frozenset(schema.secret_paths(self.config, known))
        return Checked(inputs, schema.problems(self.config, known) or self.validate(known), secret)

    def diff_config(self, olds: Properties, news: Properties) -> Diff:
        """A provider with other settings is still the same provider: its resources are not replaced."""
        return Diff(tuple(name for name in self.config if olds.get(name) != news.get(name)))


def _auto_name(urn: str, olds: Properties | None) -> Any:
    if olds and "name" in olds and "name" in olds.get(DEFAULTS, ["name"]):
        return olds["name"]
    return f"{urn.rsplit('::', 1)[-1]}-{secrets.token_hex(4)[:7]}"


def logical_name(context: Context) -> str:
    """The resource's name in the program."""
    return context.urn.rsplit("::", 1)[-1]
