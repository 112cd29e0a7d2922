"""Peak memory of everything that a command starts: proportional set size, so that shared pages count once."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from types import TracebackType

EACH = 0.1
"""Seconds between two looks; what is shorter is not seen."""


class PeakMemory:
    """The largest sum, in MB, over the descendants of this process while the block runs."""

    def __init__(self, root: int) -> None:
        self.megabytes = 0.0
        self._root = root
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(EACH):
            self.megabytes = max(self.megabytes, sum(map(_kilobytes, descendants(self._root))) / 1000)


def descendants(root: int) -> list[int]:
    """Process ids below `root`, without itself."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found, rest = [], [root]
    while rest:
        below = children.get(rest.pop(), [])
        found += below
        rest += below
    return found


def _kilobytes(pid: int) -> int:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Pss:")).split()[1])
    return 0
