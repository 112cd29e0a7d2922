"""What a provider of Berth's implements, in the words of Pulumi's own provider protocol.

Values are plain JSON-like data. Only `Unknown` is special in them (known after apply, in previews): secrets are
unwrapped before a provider is called, and wrapped again afterwards by `plugins.provider`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

Properties = dict[str, Any]


class Unknown(Enum):
    """A value that only exists after the resource it comes from was created."""

    UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


UNKNOWN = Unknown.UNKNOWN


class ProviderError(Exception):
    """A provider refused or failed; the text is shown to the user as it is and never holds a secret."""


@dataclass(frozen=True)
class CheckFailure:
    """One property that the provider does not accept."""

    property: str
    reason: str


@dataclass(frozen=True)
class Checked:
    """Inputs with the provider's defaults filled in, or why they were refused."""

    inputs: Properties
    failures: list[CheckFailure] = field(default_factory=list)
    secrets: frozenset[str] = frozenset()
    """Dotted paths of inputs that the provider's schema declares secret (such as `connection.privateKey`)."""


@dataclass(frozen=True)
class Diff:
    """Which top-level (or dotted) input properties differ, and what that means for the resource."""

    changed: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    delete_before_replace: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.changed and not self.replace


@dataclass(frozen=True)
class Created:
    """A resource as the provider made or read it: its id and all its outputs."""

    id: str
    outputs: Properties


@dataclass(frozen=True)
class Imported:
    """A resource that no program made yet: the inputs that a program would give, and the resource's outputs."""

    id: str
    inputs: Checked
    outputs: Properties


@dataclass(frozen=True)
class Context:
    """What surrounds one call: whether this is a preview, the resource's URN, and the configured provider's inputs."""

    urn: str
    preview: bool = False
    timeout: float | None = None
    """Seconds from the resource's custom timeouts, None for the provider's own default."""


class Provider(Protocol):
    """One configured provider instance (default or explicit). Methods block and may run on several threads at once."""

    def check(self, type_: str, urn: str, olds: Properties | None, news: Properties) -> Checked: ...

    def diff(self, type_: str, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties) -> Diff: ...

    def create(self, type_: str, inputs: Properties, context: Context) -> Created:
        """Make the resource; in a preview return predicted outputs, UNKNOWN where only creation can tell, id ""."""
        ...

    def update(
        self, type_: str, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties, context: Context
    ) -> Properties: ...

    def delete(self, type_: str, id_: str, inputs: Properties, outputs: Properties, context: Context) -> None: ...

    def read(self, type_: str, id_: str, inputs: Properties, outputs: Properties) -> Created | None:
        """The resource as it is now (for refresh), or None when it is gone."""
        ...

    def import_(self, type_: str, id_: str) -> Imported | None:
        """The resource with this id, or None when there is none; by default no type can be imported."""
        raise ProviderError(f"resources of type {type_} cannot be imported")

    def secret_outputs(self, type_: str) -> frozenset[str]:
        """Top-level outputs that the provider's schema declares secret."""
        ...

    def close(self) -> None: ...


class Package(Protocol):
    """One provider package (`command`, `docker`, ...): makes configured instances of itself."""

    name: str

    def types(self) -> frozenset[str]:
        """Resource type tokens this package knows; anything else is refused by name before anything is touched."""
        ...

    def configure(self, inputs: Properties) -> Provider: ...

    def check_config(self, inputs: Properties) -> Checked: ...

    def diff_config(self, olds: Properties, news: Properties) -> Diff: ...

    def schema(self, version: str) -> Properties:
        """The package's schema, in the words of Pulumi's metaschema; by default its name and version."""
        return {"name": self.name, "version": version}

    def cancel(self) -> None:
        """The run was cancelled: what is waited for ends at once. By default nothing is waited for."""
        return


Packages = Mapping[str, Package]
"""By package name, as `plugins.providers.load` returns them."""

Loader = Callable[[], tuple[Packages, Callable[[], None]]]
"""Makes the packages; with them comes what closes their connections."""
