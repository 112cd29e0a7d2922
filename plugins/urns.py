"""URNs: `urn:pulumi:<stack>::<project>::<parent types$>type::<name>`."""

from __future__ import annotations

STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_PREFIX = "pulumi:providers:"


def make(stack: str, project: str, parent: str, type_: str, name: str) -> str:
    """The URN of a resource under `parent` (a URN, or empty)."""
    above = _types(parent) if parent else STACK_TYPE
    return f"urn:pulumi:{stack}::{project}::{'' if above == STACK_TYPE else f'{above}$'}{type_}::{name}"


def type_of(urn: str) -> str:
    """The resource's own type."""
    return _types(urn).rsplit("$", 1)[-1]


def _types(urn: str) -> str:
    return urn.split("::", 3)[2]
