"""What happens in a run, told to whoever listens: display, event log, preview digest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol

from engine import urns
from engine.state import ResourceState


@dataclass(frozen=True)
class Step:
    """One operation on one resource. Replacements are a logical `replace` with the physical steps around it."""

    op: str
    urn: str
    type: str
    old: ResourceState | None = None
    new: ResourceState | None = None
    changed: tuple[str, ...] = ()
    replace_keys: tuple[str, ...] = ()
    logical: bool = True

    @property
    def counts(self) -> bool:
        """Whether the step appears in the summary; default providers never do."""
        return self.logical and not urns.is_default_provider(self.urn)


@dataclass(frozen=True)
class Summary:
    """How a run ended."""

    seconds: float
    changes: dict[str, int]
    preview: bool
    failed: bool


class Listener(Protocol):
    """Receives everything, one call at a time."""

    def started(self, step: Step, preview: bool) -> None: ...

    def done(self, step: Step, preview: bool) -> None: ...

    def failed(self, step: Step, message: str) -> None: ...

    def diagnostic(self, severity: str, urn: str, message: str) -> None: ...

    def outputs(self, old: dict[str, Any], new: dict[str, Any]) -> None: ...

    def summary(self, summary: Summary) -> None: ...


@dataclass
class Reporter:
    """Counts steps and passes them on; safe to call from any thread."""

    preview: bool
    listeners: Sequence[Listener] = ()
    changes: Counter[str] = field(default_factory=Counter)
    errors: int = 0
    _lock: Lock = field(default_factory=Lock)

    def started(self, step: Step) -> None:
        """A step is about to run."""
        if not urns.is_default_provider(step.urn):
            with self._lock:
                for listener in self.listeners:
                    listener.started(step, self.preview)

    def done(self, step: Step) -> None:
        """A step succeeded."""
        with self._lock:
            if step.counts:
                self.changes[step.op] += 1
            if not urns.is_default_provider(step.urn):
                for listener in self.listeners:
                    listener.done(step, self.preview)

    def failed(self, step: Step, message: str) -> None:
        """A step failed."""
        with self._lock:
            for listener in self.listeners:
                listener.failed(step, message)

    def diagnostic(self, severity: str, message: str, urn: str = "") -> None:
        """A message; `error` makes the run fail."""
        with self._lock:
            if severity == "error":
                self.errors += 1
            for listener in self.listeners:
                listener.diagnostic(severity, urn, message)

    def outputs(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        """The stack's outputs before and after."""
        with self._lock:
            for listener in self.listeners:
                listener.outputs(old, new)

    def summary(self, seconds: float, failed: bool) -> None:
        """The end of the run."""
        with self._lock:
            for listener in self.listeners:
                listener.summary(Summary(seconds, dict(self.changes), self.preview, failed))
