"""URNs: `urn:pulumi:<stack>::<project>::<parent types$>type::<name>`."""

from __future__ import annotations

import re

STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_PREFIX = "pulumi:providers:"


def make(stack: str, project: str, parent: str, type_: str, name: str) -> str:
    """The URN of a resource under `parent` (a URN, or empty)."""
    qualified = qualified_type(parent) if parent else ""
    prefix = f"{qualified}$" if qualified and qualified != STACK_TYPE else ""
    return f"urn:pulumi:{stack}::{project}::{prefix}{type_}::{name}"


def qualified_type(urn: str) -> str:
    """The chain of types, `A$B$C`."""
    return urn.split("::", 3)[2]


def type_of(urn: str) -> str:
    """The resource's own type."""
    return qualified_type(urn).rsplit("$", 1)[-1]


def short_type(type_: str) -> str:
    """`random:index:RandomId` for `random:index/randomId:RandomId`, as people read it."""
    return re.sub(r"/[^:]*", "", type_)


def name_of(urn: str) -> str:
    """The resource's name (it may itself hold `::`)."""
    return urn.split("::", 3)[3]


def is_provider(type_: str) -> bool:
    """Whether the type is that of a provider resource."""
    return type_.startswith(PROVIDER_PREFIX)


def is_default_provider(urn: str) -> bool:
    """Whether this is a provider that no program wrote down."""
    return is_provider(type_of(urn)) and name_of(urn).startswith("default")


def package_of(type_: str) -> str:
    """`docker` for `docker:index/container:Container` and for `pulumi:providers:docker`."""
    return type_.removeprefix(PROVIDER_PREFIX).split(":", 1)[0]
