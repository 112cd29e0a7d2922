"""Delete before replace: what depends on the resource in a way that forces its replacement goes first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engine import urns, values
from engine.errors import StepFailed
from engine.hub import Hub
from engine.ledger import Ledger
from engine.planning import Decision, provider_outputs
from engine.provider import UNKNOWN
from engine.report import Step
from engine.state import ResourceState
from engine.steps import Steps


class Replacement:
    """Deletes a resource and its dependents ahead of their new creation."""

    def __init__(self, ledger: Ledger, hub: Hub, steps: Steps, is_registered: Callable[[str], bool]) -> None:
        self._ledger = ledger
        self._hub = hub
        self._steps = steps
        self._is_registered = is_registered
        self._reasons: dict[str, tuple[str, ...]] = {}

    def reasons(self, urn: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Changed and replacing keys of a dependent that was deleted ahead."""
        keys = self._reasons.get(urn, ())
        return keys, keys

    def delete_first(self, root: ResourceState, slot: int, decision: Decision) -> None:
        """Delete dependents in reverse order, then the resource; each stays as pending replacement until created."""
        victims = self._dependents(root)
        protected = [state.urn for _, state, _ in victims if state.protect]
        if protected:
            raise StepFailed(f"unable to replace resource {root.urn!r}: its dependent {protected[0]!r} is protected")
        for own, state, keys in reversed(victims):
            self._reasons[state.urn] = keys
            self._delete(own, state, keys, keys)
        self._delete(slot, root, decision.changed, decision.replace)

    def _delete(self, slot: int, state: ResourceState, changed: tuple[str, ...], keys: tuple[str, ...]) -> None:
        step = Step("delete-replaced", state.urn, state.type, state, None, changed, keys, logical=False)
        self._steps.delete(step, slot, replace(state, pending_replacement=True), skip=state.retain_on_delete)

    def _dependents(self, root: ResourceState) -> list[tuple[int, ResourceState, tuple[str, ...]]]:
        """Resources of the old state that cannot stay while the root is recreated, in the state's order."""
        replaced = {root.urn}
        found = []
        for slot, state in self._ledger.entries():
            if not state.custom or state.delete or state.pending_replacement or state.urn in replaced:
                continue
            keys = self._forced_keys(state, replaced)
            if keys and not self._is_registered(state.urn):
                replaced.add(state.urn)
                found.append((slot, state, keys))
        return found

    def _forced_keys(self, state: ResourceState, replaced: set[str]) -> tuple[str, ...]:
        """Ask the provider what it would replace if every input from a replaced resource were unknown."""
        if state.provider.rpartition("::")[0] in replaced:
            return ("provider",)
        dependent = {key for key, deps in state.property_dependencies.items() if replaced & set(deps)}
        if not dependent & state.inputs.keys():
            return ()
        before = values.plain(state.inputs)
        news: dict[str, Any] = {key: UNKNOWN if key in dependent else value for key, value in before.items()}
        provider = self._hub.find(state.type, state.provider, state.urn)
        if provider is None or urns.is_provider(state.type):
            return ()
        return provider.diff(state.type, state.id, before, provider_outputs(state), news).replace
