"""One resource as the state keeps it, and its form in the checkpoint."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

from engine import urns, values
from engine.crypto import Crypter
from engine.provider import Properties

Raw = dict[str, Any]


@dataclass(frozen=True)
class ResourceState:
    """Field names are the checkpoint's own, in Python's spelling."""

    urn: str
    type: str
    custom: bool
    delete: bool = False
    id: str = ""
    inputs: Properties = field(default_factory=dict)
    outputs: Properties = field(default_factory=dict)
    parent: str = ""
    protect: bool = False
    external: bool = False
    dependencies: tuple[str, ...] = ()
    provider: str = ""
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    pending_replacement: bool = False
    additional_secret_outputs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    custom_timeouts: dict[str, float] = field(default_factory=dict)
    retain_on_delete: bool = False
    deleted_with: str = ""
    created: str = ""
    modified: str = ""
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """How resources name this provider."""
        return f"{self.urn}::{self.id}"

    @property
    def is_provider(self) -> bool:
        """Whether this is a provider resource."""
        return urns.is_provider(self.type)


def _json_name(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


_JSON_NAMES = {item.name: _json_name(item.name) for item in fields(ResourceState)}
_TUPLES = {"dependencies", "additional_secret_outputs", "aliases", "ignore_changes", "replace_on_changes"}


class Codec:
    """Turns resources into checkpoint entries and back; equal secrets of a resource keep their old ciphertext."""

    def __init__(self, crypter: Crypter) -> None:
        self._crypter = crypter
        self._ciphertexts: dict[tuple[tuple[str, str], str], str] = {}

    def decode(self, raw: Raw) -> ResourceState:
        """A resource from its entry; keys the engine has no use for are dropped."""
        urn = raw["urn"]
        known: dict[str, Any] = {}
        for name, key in _JSON_NAMES.items():
            if key in raw and raw[key] is not None:
                known[name] = tuple(raw[key]) if name in _TUPLES else raw[key]
        for name in ("inputs", "outputs"):
            value = raw.get(name) or {}
            known[name] = values.decode(value, partial(self._decrypt, (urn, name)))
        known.setdefault("custom", False)
        known.setdefault("type", urns.type_of(urn))
        return ResourceState(**known)

    def encode(self, state: ResourceState) -> Raw:
        """The resource's entry; empty fields are left out as the CLI does."""
        raw: Raw = {}
        for name, key in _JSON_NAMES.items():
            value = getattr(state, name)
            if name in ("inputs", "outputs"):
                value = values.encode(value, partial(self._encrypt, (state.urn, name)))
            if value or name == "custom":
                raw[key] = list(value) if isinstance(value, tuple) else value
        return raw

    def _decrypt(self, place: tuple[str, str], ciphertext: str) -> str:
        text = self._crypter.decrypt(ciphertext)
        self._ciphertexts[place, values.canonical(json.loads(text))] = ciphertext
        return text

    def _encrypt(self, place: tuple[str, str], text: str) -> str:
        known = self._ciphertexts.get((place, text))
        if known is None:
            known = self._ciphertexts[place, text] = self._crypter.encrypt(text)
        return known


def entry_dependencies(raw: Raw) -> set[str]:
    """URNs that must stand before this entry."""
    wanted = set(raw.get("dependencies") or ())
    for listed in (raw.get("propertyDependencies") or {}).values():
        wanted.update(listed or ())
    wanted.update(filter(None, (raw.get("parent"), raw.get("deletedWith"))))
    return wanted
