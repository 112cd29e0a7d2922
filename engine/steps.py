"""Real operations: each is announced, journalled, run within the parallel limit and recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import BoundedSemaphore
from typing import TypeVar

from engine import values
from engine.checkpoint import now
from engine.errors import EngineError, StepFailed
from engine.goal import Goal
from engine.hub import Hub
from engine.ledger import Ledger
from engine.planning import provider_outputs, sealed_outputs
from engine.provider import Context, Provider, ProviderError
from engine.report import Reporter, Step
from engine.state import ResourceState

_T = TypeVar("_T")


class Steps:
    """Runs one operation at a time for each caller, at most `parallel` in all."""

    def __init__(self, ledger: Ledger, hub: Hub, reporter: Reporter, preview: bool, parallel: int) -> None:
        self._ledger = ledger
        self._hub = hub
        self._reporter = reporter
        self.preview = preview
        self._gate = BoundedSemaphore(parallel)

    def create(
        self,
        step: Step,
        provider: Provider | None,
        goal: Goal,
        new: ResourceState,
        slot: int | None,
        retired: dict[int, ResourceState | None],
    ) -> ResourceState:
        """Make the resource and record it together with what becomes of the one it replaces."""
        context = self._context(new, "create")

        def operation() -> ResourceState:
            stamp = now()
            if provider is None:
                return replace(new, created=stamp, modified=stamp)
            created = provider.create(new.type, values.plain(new.inputs), context)
            outputs = sealed_outputs(provider, goal, new.inputs, created.outputs)
            return replace(new, id=created.id, outputs=outputs, created=stamp, modified=stamp)

        with self._running(step, "creating", new) as ticket:
            state = self._limited(operation)
            self._record(state, slot, retired, ticket)
        self._reporter.done(replace(step, new=state))
        return state

    def update(
        self, step: Step, provider: Provider | None, goal: Goal, new: ResourceState, slot: int, old: ResourceState
    ) -> ResourceState:
        """Change the resource in place."""
        context = self._context(new, "update")

        def operation() -> ResourceState:
            if provider is None:
                return replace(new, modified=now())
            outputs = provider.update(
                new.type, old.id, values.plain(old.inputs), provider_outputs(old), values.plain(new.inputs), context
            )
            return replace(new, outputs=sealed_outputs(provider, goal, new.inputs, outputs), modified=now())

        with self._running(step, "updating", new) as ticket:
            state = self._limited(operation)
            self._record(state, slot, {}, ticket)
        self._reporter.done(replace(step, new=state))
        return state

    def delete(self, step: Step, slot: int, remains: ResourceState | None = None, skip: bool = False) -> None:
        """Delete the real resource (unless `skip`) and leave `remains` in the state."""
        old = step.old
        assert old is not None
        real = old.custom and not old.is_provider and not skip and not old.external
        with self._running(step, "deleting", old) as ticket:
            if real and not self.preview:
                provider = self._hub.find(old.type, old.provider, old.urn)
                assert provider is not None
                context = self._context(old, "delete")
                self._limited(
                    lambda: provider.delete(old.type, old.id, values.plain(old.inputs), provider_outputs(old), context)
                )
            self._ledger.record({slot: remains}, ticket)
        self._reporter.done(step)

    def same(self, step: Step, new: ResourceState, slot: int) -> ResourceState:
        """Keep the resource; its inputs, options and dependencies are still brought up to date."""
        self._reporter.started(step)
        if not self.preview:
            self._ledger.record({slot: new})
        self._reporter.done(step)
        return new

    def _context(self, state: ResourceState, operation: str) -> Context:
        return Context(state.urn, self.preview, state.custom_timeouts.get(operation))

    def _record(
        self, state: ResourceState, slot: int | None, retired: dict[int, ResourceState | None], ticket: int | None
    ) -> None:
        if not self.preview:
            own = self._ledger.new_slot() if slot is None else slot
            self._ledger.record({**retired, own: state}, ticket)

    def _limited(self, operation: Callable[[], _T]) -> _T:
        with self._gate:
            return operation()

    @contextmanager
    def _running(self, step: Step, journalled: str, state: ResourceState) -> Iterator[int | None]:
        """Announce the step, and turn a failure into a message without secrets."""
        if not self.preview and step.op != "delete" and values.has_unknown(state.inputs):
            raise StepFailed(f"{state.urn}: an input is not known although everything it comes from should exist")
        self._reporter.started(step)
        ticket = None
        if state.custom and not state.is_provider and not self.preview:
            ticket = self._ledger.begin(journalled, state.urn)
        try:
            yield ticket
        except Exception as error:
            if ticket is not None:
                self._ledger.record({}, ticket)
            message = _message(error, state)
            self._reporter.failed(step, message)
            raise StepFailed(message) from error


def _message(error: Exception, state: ResourceState) -> str:
    known = isinstance(error, ProviderError | EngineError)
    text = str(error) if known else f"unexpected {type(error).__name__}: {error}"
    for secret in sorted(values.secret_texts([state.inputs, state.outputs]), key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    return text
