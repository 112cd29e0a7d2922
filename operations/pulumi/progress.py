"""Shows a run while it happens: a live bar at a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from operations.pulumi.events import RunView, Step

PAST = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "replace": "replaced",
    "create-replacement": "created anew",
    "delete-replaced": "deleted",
}


class Display(Protocol):
    """Something that follows a run."""

    def __enter__(self) -> Display: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def finished(self, step: Step, failed: bool) -> None: ...

    def show(self, view: RunView) -> None: ...


def display(console: Console, title: str, expected: int | None) -> Display:
    """The display that suits the console."""
    return LiveDisplay(console, title, expected) if console.is_terminal else PlainDisplay(console, title, expected)


class PlainDisplay:
    """One line per changed resource and a sign of life each half minute."""

    QUIET = 30.0

    def __init__(self, console: Console, title: str, expected: int | None) -> None:
        self._console = console
        self._title = title
        self._expected = expected
        self._note = ""
        self._started = self._last = time.monotonic()

    def __enter__(self) -> PlainDisplay:
        self._line(f"{self._title} ...")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def finished(self, step: Step, failed: bool) -> None:
        if failed:
            self._line(f"FAILED {step.title}")
        elif step.is_change:
            name = step.title.partition(" ")[2] if step.op in PAST else step.title
            self._line(f"{PAST.get(step.op, '')} {name}".strip())

    def show(self, view: RunView) -> None:
        if view.note and view.note != self._note:
            self._note = view.note
            self._line(view.note)
        if time.monotonic() - self._last < self.QUIET:
            return
        total = f" of {self._expected}" if self._expected else ""
        current = ", ".join(step.title for step in list(view.running.values())[-3:])
        self._line(f"{view.done}{total} resources done; now {current}" if current else f"{view.done}{total} done")

    def _line(self, text: str) -> None:
        self._last = time.monotonic()
        self._console.print(
            f"[{self._last - self._started:6.1f}s] {text}", markup=False, highlight=False, soft_wrap=True
        )


class LiveDisplay:
    """A bar with what is done, what is under way and how long it takes."""

    def __init__(self, console: Console, title: str, expected: int | None) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[current]}[/dim]"),
            console=console,
            transient=True,
        )
        self._task: TaskID = self._progress.add_task(title, total=expected, count="", current="")
        self._expected = expected

    def __enter__(self) -> LiveDisplay:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def finished(self, step: Step, failed: bool) -> None:
        if failed:
            self._console.print(f"failed: {step.title}", style="red", markup=False, highlight=False)

    def show(self, view: RunView) -> None:
        total = max(self._expected, view.done) if self._expected else None
        count = f"{view.done}/{total}" if total else str(view.done)
        leaves = [step.title for step in view.running.values() if step.is_change]
        current = (view.note or ", ".join(leaves[-2:]))[:70]
        self._progress.update(self._task, completed=view.done, total=total, count=count, current=current)
