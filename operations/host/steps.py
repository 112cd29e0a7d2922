"""Runs the steps that are needed, side by side where nothing forbids it, and shows how long each takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from operations.host.errors import BootstrapError
from operations.host.shell import Shell


@dataclass(frozen=True)
class Step:
    """One thing to do: what, why, and which steps must have ended before."""

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
    """Run the steps; at the first failure end the others and raise it."""
    display = StepDisplay(console)
    with display.open(), ThreadPoolExecutor(max_workers=max(1, len(steps))) as pool:
        _Scheduler(steps, display, logs, pool).run()


class _Scheduler:
    """Starts each step in a thread when all steps that it comes after have ended."""

    def __init__(self, steps: Sequence[Step], display: StepDisplay, logs: Path, pool: ThreadPoolExecutor) -> None:
        self._waiting = list(steps)
        self._running: dict[Future[None], Step] = {}
        self._shells: list[tuple[Step, Shell]] = []
        self._shells_lock = threading.Lock()
        self._display = display
        self._logs = logs
        self._pool = pool
        self._failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._start_ready()
            while self._running:
                ended, _ = wait(self._running, return_when=FIRST_COMPLETED)
                for future in ended:
                    self._finish(future)
                self._start_ready()
        except BaseException:
            self._stop()
            raise
        if self._failure:
            raise self._failure

    def _start_ready(self) -> None:
        unfinished = {step.name for step in (*self._waiting, *self._running.values())}
        for step in [step for step in self._waiting if unfinished.isdisjoint(step.after)]:
            self._waiting.remove(step)
            self._running[self._pool.submit(self._act, step)] = step

    def _act(self, step: Step) -> None:
        shell = Shell(self._logs / f"bootstrap-{step.name}.log")
        with self._shells_lock:
            self._shells.append((step, shell))
        with self._display.step(step.title):
            step.act(shell)

    def _finish(self, future: Future[None]) -> None:
        step, error = self._running.pop(future), future.exception()
        if error and not self._failure:
            self._failure = _named(step, error)
            self._stop()

    def _stop(self) -> None:
        """Start nothing new, and end the commands of running steps that may be interrupted."""
        self._waiting.clear()
        with self._shells_lock:
            for step, shell in self._shells:
                if step.interruptible:
                    shell.stop()


def _named(step: Step, error: BaseException) -> BaseException:
    if isinstance(error, BootstrapError):
        return BootstrapError(f"{step.title} failed.\n{error}")
    return error
