"""The engine: takes the program's registrations one by one and brings each resource to its goal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Lock

from engine import planning, urns, values
from engine.errors import EngineError, StepFailed
from engine.goal import Goal
from engine.hub import Hub
from engine.ledger import Ledger
from engine.planning import Decision
from engine.provider import UNKNOWN, Properties, Provider, ProviderError
from engine.replacement import Replacement
from engine.report import Reporter, Step
from engine.state import ResourceState
from engine.steps import Steps


@dataclass(frozen=True)
class Outcome:
    """What the program learns about a resource."""

    urn: str
    id: str = ""
    outputs: Properties | None = None

    @property
    def failed(self) -> bool:
        """Whether the resource did not reach its goal in this run."""
        return self.outputs is None


class Deployment:
    """One run. `register` is called from many threads; nothing here waits for another registration."""

    def __init__(
        self,
        stack: str,
        project: str,
        ledger: Ledger,
        hub: Hub,
        steps: Steps,
        reporter: Reporter,
        config: Mapping[str, object],
    ) -> None:
        self.stack = stack
        self.project = project
        self._ledger = ledger
        self._hub = hub
        self._steps = steps
        self._reporter = reporter
        self._config = config
        self._lock = Lock()
        self._default_lock = Lock()
        self._goals: dict[str, Goal] = {}
        self._defaults: dict[tuple[str, str], str] = {}
        self._replaced_providers: set[str] = set()
        self._stack_outputs: tuple[str, Properties] | None = None
        self._failed: set[str] = set()
        self._claimed: set[str] = set()
        self._replacement = Replacement(ledger, hub, steps, self.is_registered)
        self.cancelled = False
        self.dry_run = steps.preview
        self.ignore_protect = False

    @property
    def has_failed(self) -> bool:
        """Whether any resource failed or was left out."""
        return bool(self._failed) or self._reporter.errors > 0

    def is_registered(self, urn: str) -> bool:
        """Whether the program has asked for this resource in this run, under this URN or a new one."""
        return urn in self._goals or urn in self._claimed

    def renamed(self) -> dict[str, str]:
        """Old URNs of resources that were found by an alias."""
        return {alias: goal.urn for goal in self._goals.values() for alias in goal.aliases}

    def aliases_of(self, urn: str) -> tuple[str, ...]:
        """Former URNs of a resource of this run."""
        goal = self._goals.get(urn)
        return goal.aliases if goal else ()

    def register(self, goal: Goal) -> Outcome:
        """Bring one resource to its goal; a failure is reported and returned, never raised."""
        try:
            with self._lock:
                if goal.urn in self._goals:
                    raise StepFailed(f"Duplicate resource URN '{goal.urn}'; try giving it a unique name")
                goal = planning.inherit(goal, self._goals.get(goal.parent))
                self._goals[goal.urn] = goal
                blocked = self._is_blocked(goal)
            if not blocked:
                state = self._apply(goal)
                return Outcome(goal.urn, "" if state.id == UNKNOWN.value else state.id, self._visible(goal, state))
        except (EngineError, ProviderError) as error:
            self._reporter.diagnostic("error", str(error), goal.urn)
        with self._lock:
            self._failed.add(goal.urn)
        return Outcome(goal.urn)

    def register_outputs(self, urn: str, outputs: Properties) -> None:
        """Outputs of a component, or of the stack: those wait for the program's end, for they may be partial."""
        if urns.type_of(urn) == urns.STACK_TYPE:
            self._stack_outputs = urn, outputs
        else:
            self._store_outputs(urn, outputs, self.has_failed)

    def finish(self, completed: bool) -> bool:
        """Settle the stack's outputs once the program has ended; whether all went well."""
        succeeded = completed and not self.has_failed
        if self._stack_outputs is not None:
            self._reporter.outputs(*self._store_outputs(*self._stack_outputs, partial=not succeeded))
        return succeeded

    def _store_outputs(self, urn: str, outputs: Properties, partial: bool) -> tuple[Properties, Properties]:
        """Old and new outputs; a failed run keeps what it cannot know."""
        found = self._ledger.find(urn)
        old = found[1].outputs if found else {}
        if not self._steps.preview:
            known = {key: value for key, value in outputs.items() if not values.has_unknown(value)}
            outputs = {**old, **known} if partial else known
            if found:
                self._ledger.record({found[0]: replace(found[1], outputs=outputs)})
        return old, outputs

    def _is_blocked(self, goal: Goal) -> bool:
        """Whether something this resource needs has failed; unknown inputs must never reach a real operation."""
        needed = {goal.parent, goal.provider.rpartition("::")[0], *goal.dependencies}
        if self.cancelled or needed & self._failed:
            return True
        return not self._steps.preview and values.has_unknown(goal.inputs)

    def _visible(self, goal: Goal, state: ResourceState) -> Properties:
        if not goal.custom or self.dry_run:
            return {**state.inputs, **state.outputs}
        return state.outputs

    def _apply(self, goal: Goal) -> ResourceState:
        slot, old = self._find_old(goal)
        reference = ""
        provider: Provider | None = None
        if goal.custom:
            self._hub.require(goal.type, goal.urn)
            if not urns.is_provider(goal.type):
                reference = goal.provider or self._default_provider(goal)
            provider = self._hub.find(goal.type, reference, goal.urn)
        inputs = planning.checked_inputs(provider, self._versioned(goal), old)
        if old is None or old.pending_replacement:
            op = "create-replacement" if old else "create"
            state = self._create(goal, provider, inputs, reference, op, slot, None)
        else:
            assert slot is not None
            decision = planning.decide(provider, goal, old, inputs)
            if goal.custom and old.provider != reference:
                decision = self._with_provider_change(decision, old.provider, reference)
            if decision.op == "replace" and goal.ignore_changes:
                # What is made anew has nothing to keep; the CLI ignores changes of what stays only.
                inputs = planning.checked_inputs(provider, replace(self._versioned(goal), ignore_changes=()), old)
            state = self._carry_out(goal, provider, inputs, reference, decision, slot, old)
        if state.is_provider:
            self._hub.put(state)
        return state

    def _find_old(self, goal: Goal) -> tuple[int | None, ResourceState | None]:
        for urn in (goal.urn, *goal.aliases):
            found = self._ledger.find(urn)
            if found is not None and (urn == goal.urn or not self.is_registered(urn)):
                self._claimed.add(urn)
                return found
        return None, None

    def _versioned(self, goal: Goal) -> Goal:
        if urns.is_provider(goal.type) and goal.version:
            return replace(goal, inputs={**goal.inputs, "version": goal.version})
        return goal

    def _default_provider(self, goal: Goal) -> str:
        """The provider of a package for resources that name none, made on first use and kept in the state."""
        package = urns.package_of(goal.type)
        with self._default_lock:
            known = self._defaults.get((package, goal.version))
            if known is None:
                name = f"default_{goal.version.replace('.', '_')}" if goal.version else "default"
                type_ = f"{urns.PROVIDER_PREFIX}{package}"
                urn = urns.make(self.stack, self.project, "", type_, name)
                settings = {
                    key.split(":", 1)[1]: value for key, value in self._config.items() if key.startswith(f"{package}:")
                }
                wanted = Goal(urn, type_, name, True, settings, version=goal.version)
                self._goals[urn] = wanted
                known = self._defaults[package, goal.version] = self._apply(wanted).reference
        return known

    def _with_provider_change(self, decision: Decision, old: str, new: str) -> Decision:
        """A provider that was itself replaced, or whose configuration points elsewhere, replaces its resources."""
        before, after = self._hub.instance(old), self._hub.instance(new)
        if before.urn == after.urn:
            moved = before.urn in self._replaced_providers
        else:
            provider = self._hub.find(after.type, "", after.urn)
            assert provider is not None
            news = values.plain(after.inputs)
            moved = bool(provider.diff(after.type, "", values.plain(before.inputs), {}, news).replace)
        if not moved:
            return decision
        return replace(decision, changed=(*decision.changed, "provider"), replace=(*decision.replace, "provider"))

    def _carry_out(
        self,
        goal: Goal,
        provider: Provider | None,
        inputs: Properties,
        reference: str,
        decision: Decision,
        slot: int,
        old: ResourceState,
    ) -> ResourceState:
        new = planning.new_state(goal, inputs, old.outputs, reference, old)
        step = Step(decision.op, goal.urn, goal.type, old, new, decision.changed, decision.replace)
        if decision.op == "same":
            return self._steps.same(step, new, slot)
        if decision.op == "update":
            if not goal.custom or provider is None:
                new = replace(new, outputs=old.outputs if not goal.custom else {})
            return self._steps.update(step, provider, goal, new, slot, old)
        if old.protect and not self.ignore_protect:
            raise StepFailed(
                f"unable to replace resource {goal.urn!r} as it is currently marked for protection. To unprotect the "
                "resource, remove the `protect` flag from the resource in your program and run `up`"
            )
        if urns.is_provider(goal.type):
            self._replaced_providers.add(goal.urn)
        if not decision.delete_first:
            return self._create(goal, provider, inputs, reference, "create-replacement", None, (slot, old), decision)
        self._replacement.delete_first(old, slot, decision)
        return self._create(goal, provider, inputs, reference, "create-replacement", slot, None, decision, old)

    def _create(
        self,
        goal: Goal,
        provider: Provider | None,
        inputs: Properties,
        reference: str,
        op: str,
        slot: int | None,
        replaced: tuple[int, ResourceState] | None,
        decision: Decision | None = None,
        deleted: ResourceState | None = None,
    ) -> ResourceState:
        """Create; `replaced` lives on until the delete pass, `deleted` is gone already."""
        new = planning.new_state(goal, inputs, {}, reference, None)
        old = replaced[1] if replaced else deleted
        if op == "create-replacement" and old is None and slot is not None:
            found = self._ledger.find(goal.urn)
            old = found[1] if found else None
        changed, keys = (decision.changed, decision.replace) if decision else self._replacement.reasons(goal.urn)
        retired: dict[int, ResourceState | None] = {}
        if replaced:
            retired[replaced[0]] = replace(replaced[1], delete=True)
        step = Step(op, goal.urn, goal.type, old, new, changed, keys, logical=op == "create")
        state = self._steps.create(step, provider, goal, new, slot, retired)
        if op == "create-replacement":
            logical = Step("replace", goal.urn, goal.type, old, state, changed, keys)
            self._reporter.started(logical)
            self._reporter.done(logical)
        return state
