"""The injected fault, on disk before it takes effect: the next drill undoes what a killed one left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from config.naming import lab_container
from operations.drill.faults import Fault, Injection, named
from operations.drill.lab_node import LabNode
from operations.errors import BerthError
from operations.workspace import write_private


class Record:
    """What has to be undone on a stack, if anything."""

    def __init__(self, directory: Path, stack: str) -> None:
        self._path = directory / "drill.json"
        self._stack = stack

    @contextlib.contextmanager
    def injected(self, fault: Fault, injection: Injection) -> Iterator[None]:
        """Record the fault, inject it, and undo it at the end of the block, whatever happened."""
        try:
            self._inject(fault, injection)
            yield
        finally:
            self.undo()

    def _inject(self, fault: Fault, injection: Injection) -> None:
        entry = {
            "fault": fault.name,
            "nodes": [node.name for node in injection.nodes],
            "service": injection.service,
            "data_directory": injection.data_directory,
        }
        write_private(self._path, json.dumps(entry))
        # A machine that loses its power in the middle must find it too.
        descriptor = os.open(self._path.parent, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        fault.inject(injection)

    def undo(self, log: Callable[[str], None] = lambda _: None) -> bool:
        """Undo the recorded fault; whether there was one."""
        if not self._path.exists():
            return False
        try:
            entry = json.loads(self._path.read_text(encoding="utf-8"))
            fault = named(str(entry["fault"]))
            nodes = [LabNode(str(name), lab_container(self._stack, str(name))) for name in entry["nodes"]]
            injection = Injection(nodes, str(entry["service"]), str(entry["data_directory"]))
        except (ValueError, KeyError, TypeError, StopIteration):
            raise BerthError(
                f"{self._path} does not say what a killed drill left: ./berth down --stack {self._stack} and "
                f"./berth up --stack {self._stack} make the lab anew."
            ) from None
        log(f"Undoing {fault.name} on {', '.join(node.name for node in nodes)} ...")
        # A second Ctrl-C must not leave a fault behind.
        with _signals(signal.SIG_IGN):
            if fault.undo is not None:
                fault.undo(injection)
            self._path.unlink()
        return True


@contextlib.contextmanager
def _signals(handler: Callable[..., object] | signal.Handlers) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, one in before.items():
            signal.signal(number, one)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


interruptible = partial(_signals, _interrupt)
"""While it lasts, whatever ends a process in order ends it as Ctrl-C does."""
