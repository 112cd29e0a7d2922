"""Reading every resource as it is now; outputs follow reality, what is gone leaves the state."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from engine import values
from engine.checkpoint import now
from engine.errors import EngineError
from engine.hub import Hub
from engine.ledger import Ledger
from engine.planning import STATE_DELTA, provider_outputs
from engine.provider import ProviderError
from engine.report import Reporter, Step
from engine.state import ResourceState


class Refresh:
    """One refresh of the whole stack."""

    def __init__(self, ledger: Ledger, hub: Hub, reporter: Reporter, cancelled: Callable[[], bool]) -> None:
        self._ledger = ledger
        self._hub = hub
        self._reporter = reporter
        self._cancelled = cancelled
        self.failed = False

    def run(self, workers: int) -> None:
        """Read all resources, several at once."""
        entries = list(self._ledger.entries())
        with ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(self._refresh, entries):
                pass

    def _refresh(self, entry: tuple[int, ResourceState]) -> None:
        """Refresh one resource; references to one that is gone are mended when the state is written."""
        slot, state = entry
        if not state.custom or state.is_provider or state.delete or state.pending_replacement:
            if not state.is_provider and not state.delete:
                self._finish(Step("same", state.urn, state.type, state, state))
            return
        if self._cancelled():
            self.failed = True
            return
        try:
            provider = self._hub.find(state.type, state.provider, state.urn)
            assert provider is not None
            before = provider_outputs(state)
            found = provider.read(state.type, state.id, values.plain(state.inputs), before)
        except (EngineError, ProviderError) as error:
            self.failed = True
            self._reporter.diagnostic("error", f"refreshing {state.urn}: {error}", state.urn)
            return
        if found is None:
            self._ledger.record({slot: None})
            self._finish(Step("delete", state.urn, state.type, state))
            return
        outputs = {key: value for key, value in values.plain(found.outputs).items() if value is not None}
        changed = tuple(key for key in sorted({*outputs, *before}) if outputs.get(key) != before.get(key))
        if not changed and found.id == state.id:
            self._finish(Step("same", state.urn, state.type, state, state))
            return
        new = replace(
            state,
            id=found.id,
            outputs=self._sealed(state, outputs, provider.secret_outputs(state.type)),
            modified=now(),
        )
        self._ledger.record({slot: new})
        self._finish(Step("update", state.urn, state.type, state, new, changed))

    def _sealed(self, state: ResourceState, outputs: dict[str, object], secret: frozenset[str]) -> dict[str, object]:
        declared = {*secret, *state.additional_secret_outputs}
        sealed: dict[str, object] = {}
        for key, value in outputs.items():
            like = state.outputs.get(key, state.inputs.get(key))
            if key != STATE_DELTA:
                sealed[key] = values.Secret(value) if key in declared else values.remark(value, like)
        return sealed

    def _finish(self, step: Step) -> None:
        self._reporter.started(step)
        self._reporter.done(step)
