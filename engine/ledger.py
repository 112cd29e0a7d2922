"""The state during a run: the checkpoint's resources by slot, every change journalled as it happens."""

from __future__ import annotations

from collections.abc import Iterator
from threading import RLock

from engine import checkpoint
from engine.backend import Backend
from engine.checkpoint import Checkpoint
from engine.journal import Journal, Remains, Slots, announce
from engine.journal import read as read_journal
from engine.state import Codec, Raw, ResourceState


class Ledger:
    """All reads and writes of the state go through here, from any thread."""

    def __init__(self, backend: Backend, stack: str, codec: Codec, base: Checkpoint, mark: str, persist: bool) -> None:
        self._path = backend.state_file(stack)
        self._codec = codec
        self._base = base
        self._lock = RLock()
        self._raw: dict[int, Raw] = dict(enumerate(base.resources))
        self._states: dict[int, ResourceState] = {}
        self._live: dict[str, int] = {raw["urn"]: slot for slot, raw in self._raw.items() if not raw.get("delete")}
        self._next = len(base.resources)
        self._journal = Journal(backend.journal_file(stack), mark) if persist else None
        self.changed = False

    def find(self, urn: str) -> tuple[int, ResourceState] | None:
        """The live resource with this URN."""
        with self._lock:
            slot = self._live.get(urn)
            return None if slot is None else (slot, self._state(slot))

    def entries(self) -> Iterator[tuple[int, ResourceState]]:
        """Everything in the state, in its order."""
        with self._lock:
            found = [(slot, self._state(slot)) for slot in sorted({*self._raw, *self._states})]
        yield from found

    def provider(self, reference: str) -> ResourceState | None:
        """The provider resource with this reference, marked for deletion or not."""
        urn = reference.rpartition("::")[0]
        with self._lock:
            for slot in {*self._raw, *self._states}:
                known = self._states.get(slot) or self._raw[slot]
                if (known.urn if isinstance(known, ResourceState) else known["urn"]) == urn:
                    state = self._state(slot)
                    if state.reference == reference:
                        return state
        return None

    def new_slot(self) -> int:
        """A slot for a resource that the state does not have yet."""
        with self._lock:
            self._next += 1
            return self._next - 1

    def begin(self, operation: str, urn: str) -> int | None:
        """Note that a real operation is about to start."""
        return self._journal.begin(operation, urn) if self._journal else None

    def record(self, changes: dict[int, ResourceState | None], ticket: int | None = None) -> None:
        """Put the outcome of a step into the state; `None` removes a slot."""
        written: Slots = {}
        with self._lock:
            for slot, state in changes.items():
                if self._journal is not None:
                    raw = None if state is None else self._codec.encode(state)
                    if raw != self._raw.get(slot):
                        written[slot] = raw
                self._apply(slot, state, written.get(slot))
        if self._journal is not None and (written or ticket is not None):
            self.changed = self.changed or bool(written)
            self._journal.end(ticket, written)

    def close(self) -> None:
        """Fold the journal into the checkpoint; without a change the file stays as it is."""
        if self._journal is None or self._journal.is_empty:
            return
        if self.changed:
            self._base.resources = [self._raw[slot] for slot in sorted(self._raw)]
            data = checkpoint.prepare(self._base)
            self._journal.folded(checkpoint.fingerprint(data))
            checkpoint.write(self._path, data)
        self._journal.remove()

    def _apply(self, slot: int, state: ResourceState | None, raw: Raw | None) -> None:
        known = self._states.get(slot)
        urn = known.urn if known else self._raw[slot]["urn"] if slot in self._raw else None
        if urn is not None and self._live.get(urn) == slot:
            del self._live[urn]
        if state is None:
            self._states.pop(slot, None)
            self._raw.pop(slot, None)
            return
        self._states[slot] = state
        if raw is not None:
            self._raw[slot] = raw
        if not state.delete:
            self._live[state.urn] = slot

    def _state(self, slot: int) -> ResourceState:
        state = self._states.get(slot)
        if state is None:
            state = self._states[slot] = self._codec.decode(self._raw[slot])
        return state


def recover(backend: Backend, stack: str, persist: bool) -> tuple[Checkpoint, str, Remains | None]:
    """The checkpoint with what an interrupted run left folded in (on disk only with `persist`)."""
    base, mark = backend.load(stack)
    path = backend.journal_file(stack)
    remains = read_journal(path, mark)
    if remains is None:
        return base, mark, None
    if remains.slots and not remains.already_folded:
        raws: dict[int, Raw | None] = dict(enumerate(base.resources))
        raws.update(remains.slots)
        base.resources = [raw for _, raw in sorted(raws.items()) if raw is not None]
        data = checkpoint.prepare(base)
        mark = checkpoint.fingerprint(data)
        if persist:
            announce(path, mark)
            checkpoint.write(backend.state_file(stack), data)
    if persist:
        path.unlink()
    return base, mark, remains
