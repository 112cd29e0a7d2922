"""Runs the steps that are needed, side by side where nothing forbids it, and shows how long each takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from operations.host.errors import BootstrapError
from operations.host.shell import Shell


@dataclass(frozen=True)
class Step:
    """One thing to do: what, why, and which steps of those before it must have ended."""

    name: str
    title: str
    why: str
    act: Callable[[Shell], None]
    after: tuple[str, ...] = ()
    interruptible: bool = True
    """False for a package manager, which must not be stopped half way."""


class StepDisplay:
    """A line with a running clock per step at a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Show steps until the end of the block."""
        if not self._console.is_terminal:
            yield
            return
        columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=self._console) as self._progress:
            yield

    def start(self, title: str) -> StepLine:
        """Show one step until it is marked as done or failed."""
        return StepLine(self._console, self._progress, title)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show one step; a step that fails keeps its line without a tick."""
        line = self.start(title)
        try:
            yield
        except BaseException:
            line.failed()
            raise
        line.done()


class StepLine:
    """One step on the display."""

    def __init__(self, console: Console, progress: Progress | None, title: str) -> None:
        self._console = console
        self._progress = progress
        self._title = title
        self._started = time.monotonic()
        self._task = progress.add_task(title, total=1) if progress else None

    def done(self) -> None:
        """Tick the line, or print how long the step took."""
        if self._progress and self._task is not None:
            self._progress.update(self._task, completed=1)
        else:
            seconds = time.monotonic() - self._started
            self._console.print(f"{self._title}: done in {seconds:.0f} s", markup=False, soft_wrap=True)

    def failed(self) -> None:
        """Stop the line's clock; the error itself is printed by the caller."""
        if self._progress and self._task is not None:
            self._progress.update(self._task, description=f"{self._title}: failed")
            self._progress.stop_task(self._task)


def run(steps: Sequence[Step], console: Console, logs: Path) -> None:
    """Run each step once those before it that it names have ended; at the first failure end the others and raise it."""
    under_way = _UnderWay(StepDisplay(console), logs)
    started: dict[str, Future[None]] = {}
    with under_way.display.open(), ThreadPoolExecutor(max_workers=max(1, len(steps))) as pool:
        try:
            for step in steps:
                before = [started[name] for name in step.after if name in started]
                started[step.name] = pool.submit(under_way.act, step, before)
            wait(started.values())
        except BaseException:
            under_way.stop()
            raise
    if under_way.failure:
        raise under_way.failure


class _UnderWay:
    """The steps that have begun."""

    def __init__(self, display: StepDisplay, logs: Path) -> None:
        self.display = display
        self.failure: BaseException | None = None
        self._logs = logs
        self._shells: list[Shell] = []
        self._stopped = False
        self._lock = threading.Lock()

    def act(self, step: Step, before: Sequence[Future[None]]) -> None:
        wait(before)
        with self._lock:
            if self._stopped:
                return
            shell = Shell(self._logs / f"bootstrap-{step.name}.log")
            self._shells += [shell] if step.interruptible else []
        try:
            with self.display.step(step.title):
                step.act(shell)
        except BaseException as error:
            self.failure = self.failure or _named(step, error)
            self.stop()

    def stop(self) -> None:
        """Start nothing new, and end the commands of running steps that may be interrupted."""
        with self._lock:
            self._stopped = True
            for shell in self._shells:
                shell.stop()


def _named(step: Step, error: BaseException) -> BaseException:
    if isinstance(error, BootstrapError):
        return BootstrapError(f"{step.title} failed.\n{error}")
    return error
