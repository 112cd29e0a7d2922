"""Deleting what is no longer wanted, in reverse dependency order and in parallel where order allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from engine.errors import EngineError, StepFailed
from engine.ledger import Ledger
from engine.provider import ProviderError
from engine.report import Reporter, Step
from engine.state import ResourceState
from engine.steps import Steps

Entry = tuple[int, ResourceState]


def unwanted(ledger: Ledger, is_registered: Callable[[str], bool]) -> list[Entry]:
    """What the delete pass takes: resources the program no longer names, and old halves of replacements."""
    return [(slot, state) for slot, state in ledger.entries() if state.delete or not is_registered(state.urn)]


def protected(ledger: Ledger) -> frozenset[str]:
    """Every protected resource, and all that these need: what `destroy --exclude-protected` leaves."""
    known = {state.urn: state for _, state in ledger.entries() if not state.delete}
    kept: set[str] = set()
    waiting = [state.urn for state in known.values() if state.protect]
    while waiting:
        state = known.get(waiting.pop())
        if state is None or state.urn in kept:
            continue
        kept.add(state.urn)
        waiting += [state.parent, state.provider.rpartition("::")[0], *state.dependencies]
    return frozenset(kept)


def check_protection(entries: Iterable[Entry], reporter: Reporter) -> bool:
    """Whether all may go; each protected one is named."""
    allowed = True
    for _, state in entries:
        if state.protect:
            allowed = False
            reporter.diagnostic(
                "error",
                f"resource {state.urn!r} cannot be deleted because it is protected. To unprotect it, remove the "
                "`protect` flag from the resource in your program and run `up`, then delete it",
                state.urn,
            )
    return allowed


class Removal:
    """One delete pass."""

    def __init__(self, steps: Steps, reporter: Reporter, entries: list[Entry], cancelled: Callable[[], bool]) -> None:
        self._steps = steps
        self._reporter = reporter
        self._entries = dict(entries)
        self._cancelled = cancelled
        self._gone = {state.urn for state in self._entries.values() if not state.delete}
        self.failed = False

    def run(self, workers: int) -> None:
        """Delete everything; what a failed deletion still needs is kept."""
        waiting = self._dependents()
        ready = [slot for slot, users in waiting.items() if not users]
        running: dict[Future[bool], int] = {}
        with ThreadPoolExecutor(workers) as pool:
            while ready or running:
                for slot in reversed(ready):
                    running[pool.submit(self._delete, (slot, self._entries[slot]))] = slot
                ready = []
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=lambda item: running[item]):
                    slot = running.pop(future)
                    if not future.result():
                        self.failed = True
                        continue
                    for other in self._needed_by_slot[slot]:
                        waiting[other].discard(slot)
                        if not waiting[other]:
                            ready.append(other)
                ready.sort()

    def _dependents(self) -> dict[int, set[int]]:
        """For each slot, the slots that must go before it."""
        by_urn: dict[str, list[int]] = {}
        by_reference: dict[str, int] = {}
        for slot, state in self._entries.items():
            by_urn.setdefault(state.urn, []).append(slot)
            by_reference[state.reference] = slot
        users: dict[int, set[int]] = {slot: set() for slot in self._entries}
        self._needed_by_slot: dict[int, set[int]] = {slot: set() for slot in self._entries}
        for slot, state in self._entries.items():
            deps = {urn for listed in state.property_dependencies.values() for urn in listed}
            needed = {
                item
                for urn in {*deps, *state.dependencies, state.parent, state.deleted_with}
                for item in by_urn.get(urn, ())
            }
            if state.provider in by_reference:
                needed.add(by_reference[state.provider])
            # Slots follow the state's order, so an edge that points forward belongs to another generation of the URN.
            for other in needed - {slot}:
                users[other].add(slot)
                self._needed_by_slot[slot].add(other)
        _break_cycles(users, self._needed_by_slot)
        return users

    def _delete(self, entry: Entry) -> bool:
        slot, state = entry
        if self._cancelled():
            return False
        op = "delete-replaced" if state.delete else "delete"
        step = Step(op, state.urn, state.type, state, logical=not state.delete and not state.pending_replacement)
        # A pending replacement was deleted already, in the run that did not get to create it again.
        skip = state.pending_replacement or state.retain_on_delete or state.deleted_with in self._gone
        try:
            self._steps.delete(step, slot, skip=skip)
        except (StepFailed, EngineError, ProviderError) as error:
            self._reporter.diagnostic("error", str(error), state.urn)
            return False
        return True


def _break_cycles(users: dict[int, set[int]], needed: dict[int, set[int]]) -> None:
    """Two generations of a URN can seem to need each other; the state's order then decides."""
    indegree = {slot: len(found) for slot, found in users.items()}
    ready = [slot for slot, count in indegree.items() if not count]
    while ready:
        slot = ready.pop()
        del indegree[slot]
        for other in needed[slot]:
            if other in indegree:
                indegree[other] -= 1
                if not indegree[other]:
                    ready.append(other)
    for slot in indegree:
        for other in [item for item in needed[slot] if item in indegree and item > slot]:
            needed[slot].discard(other)
            users[other].discard(slot)
