"""Provider instances of a run, by the reference that resources carry (`<urn>::<id>`)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

from engine import urns, values
from engine.errors import EngineError
from engine.ledger import Ledger
from engine.provider import UNKNOWN, Checked, Context, Created, Diff, Package, Properties, Provider
from engine.state import ResourceState

_OWN_KEYS = ("__internal", "version", "__pulumi-go-provider-version")


@dataclass
class _Instance:
    state: ResourceState
    lock: Lock = field(default_factory=Lock)
    provider: Provider | None = None


class Hub:
    """Knows the packages and configures each provider once, when it is first needed."""

    def __init__(self, packages: Mapping[str, Package], ledger: Ledger) -> None:
        self._packages = packages
        self._ledger = ledger
        self._instances: dict[str, _Instance] = {}
        self._lock = Lock()

    def require(self, type_: str, urn: str) -> Package:
        """The package of a type; what is not known is refused by name."""
        package = self._packages.get(urns.package_of(type_))
        if package is None or not (urns.is_provider(type_) or type_ in package.types()):
            raise EngineError(f"{urn}: the embedded engine does not know the resource type {type_}")
        return package

    def put(self, state: ResourceState) -> None:
        """Make a provider resource of this run available."""
        with self._lock:
            known = self._instances.get(state.reference)
            if known is None or known.state.inputs != state.inputs:
                self._instances[state.reference] = _Instance(state)

    def find(self, type_: str, reference: str, urn: str) -> Provider | None:
        """The provider for a resource; None when its configuration is not known yet (preview)."""
        package = self.require(type_, urn)
        if urns.is_provider(type_):
            return ProviderResource(package)
        instance = self.instance(reference)
        if values.has_unknown(instance.inputs):
            return None
        return self._configured(package, reference)

    def instance(self, reference: str) -> ResourceState:
        """The provider resource behind a reference, of this run or from the state."""
        with self._lock:
            known = self._instances.get(reference)
            if known is None:
                state = self._ledger.provider(reference)
                if state is None:
                    raise EngineError(f"unknown provider {reference}")
                known = self._instances[reference] = _Instance(state)
        return known.state

    def _configured(self, package: Package, reference: str) -> Provider:
        instance = self._instances[reference]
        with instance.lock:
            if instance.provider is None:
                instance.provider = package.configure(_own(values.plain(instance.state.inputs)))
            return instance.provider

    def close(self) -> None:
        """Close all providers."""
        for instance in self._instances.values():
            if instance.provider is not None:
                instance.provider.close()


def _own(inputs: Properties) -> Properties:
    return {key: value for key, value in inputs.items() if key not in _OWN_KEYS}


class ProviderResource:
    """A provider seen as a resource: nothing real happens, its id is a UUID kept for ever."""

    def __init__(self, package: Package) -> None:
        self._package = package

    def check(self, type_: str, urn: str, olds: Properties | None, news: Properties) -> Checked:
        """The configuration with defaults, in the form that the CLI stores."""
        checked = self._package.check_config({key: _compact(value) for key, value in _own(news).items()})
        own: Properties = {"__internal": {}}
        if "version" in news:
            own["version"] = news["version"]
        return Checked({**own, **checked.inputs}, checked.failures, checked.secrets)

    def diff(self, type_: str, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties) -> Diff:
        """What changed in the configuration; a new version of the same provider is an update."""
        diff = self._package.diff_config(_own(old_inputs), _own(news))
        if diff.is_empty and old_inputs.get("version") != news.get("version"):
            return Diff(changed=("version",))
        return diff

    def create(self, type_: str, inputs: Properties, context: Context) -> Created:
        """A new identity."""
        outputs = {key: value for key, value in inputs.items() if key != "__internal"}
        return Created(UNKNOWN.value if context.preview else str(uuid.uuid4()), outputs)

    def update(
        self, type_: str, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties, context: Context
    ) -> Properties:
        """The same provider with another configuration."""
        return {key: value for key, value in news.items() if key != "__internal"}

    def delete(self, type_: str, id_: str, inputs: Properties, outputs: Properties, context: Context) -> None:
        """A provider exists in the state only."""

    def read(self, type_: str, id_: str, inputs: Properties, outputs: Properties) -> Created | None:
        """A provider is what the state says."""
        return Created(id_, outputs)

    def secret_outputs(self, type_: str) -> frozenset[str]:
        """None beyond secret inputs."""
        return frozenset()

    def close(self) -> None:
        """Nothing to close."""


def _compact(value: object) -> object:
    """Objects and lists reach a provider as JSON text; the SDK's spacing would differ from what the CLI stores."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.dumps(json.loads(value), ensure_ascii=False, separators=(",", ":"))
        except ValueError:
            return value
    return value
