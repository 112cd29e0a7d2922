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


class Display:
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

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show one step; a step that fails keeps its line without a tick."""
        begun = time.monotonic()
        task = self._progress.add_task(title, total=1) if self._progress else None
        try:
            yield
        except BaseException:
            if self._progress and task is not None:
                self._progress.update(task, description=f"{title}: failed")
                self._progress.stop_task(task)
            raise
        if self._progress and task is not None:
            self._progress.update(task, completed=1)
        else:
            self._console.print(f"{title}: done in {time.monotonic() - begun:.0f} s", markup=False, soft_wrap=True)


def run(steps: Sequence[Step], console: Console, logs: Path) -> None:
    """Run the steps; at the first failure end the others and raise it."""
    present = {step.name for step in steps}
    waiting = {step.name: {name for name in step.after if name in present} for step in steps}
    by_name = {step.name: step for step in steps}
    shells: dict[str, Shell] = {}
    running: dict[Future[None], str] = {}
    display = Display(console)
    guard = threading.Lock()

    def act(step: Step) -> None:
        with guard:
            shell = shells[step.name] = Shell(logs / f"bootstrap-{step.name}.log")
        with display.step(step.title):
            step.act(shell)

    def stop() -> None:
        waiting.clear()
        with guard:
            for name, shell in shells.items():
                if by_name[name].interruptible:
                    shell.stop()

    failure: BaseException | None = None
    with display.open(), ThreadPoolExecutor(max_workers=max(1, len(steps))) as pool:
        try:
            while waiting or running:
                for name in [name for name, needs in waiting.items() if not needs]:
                    del waiting[name]
                    running[pool.submit(act, by_name[name])] = name
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    name = running.pop(future)
                    error = future.exception()
                    if error and not failure:
                        failure = _named(by_name[name], error)
                        stop()
                    for needs in waiting.values():
                        needs.discard(name)
        except BaseException:
            stop()
            raise
    if failure:
        raise failure


def _named(step: Step, error: BaseException) -> BaseException:
    if isinstance(error, BootstrapError):
        return BootstrapError(f"{step.title} failed.\n{error}")
    return error
