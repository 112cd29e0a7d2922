"""The fault that is under way, on disk before it strikes: a drill that was killed is undone by the next one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from config.naming import lab_container
from operations.drill.faults import Fault, Strike, named
from operations.drill.lab_node import LabNode
from operations.errors import BerthError
from operations.workspace import write_private


class Record:
    """What has to be undone on a stack, if anything."""

    def __init__(self, directory: Path, stack: str) -> None:
        self._path = directory / "drill.json"
        self._stack = stack

    def strike(self, fault: Fault, strike: Strike) -> None:
        """Note the fault down, then let it strike."""
        entry = {
            "fault": fault.name,
            "nodes": [node.name for node in strike.nodes],
            "service": strike.service,
            "data_directory": strike.data_directory,
        }
        write_private(self._path, json.dumps(entry))
        # A machine that loses its power in the middle must find it too.
        descriptor = os.open(self._path.parent, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        fault.begin(strike)

    def undo(self, say: Callable[[str], None] = lambda _: None) -> bool:
        """Undo the fault that is noted down; whether there was one."""
        if not self._path.exists():
            return False
        try:
            entry = json.loads(self._path.read_text(encoding="utf-8"))
            fault = named(str(entry["fault"]))
            nodes = [LabNode(str(name), lab_container(self._stack, str(name))) for name in entry["nodes"]]
            strike = Strike(nodes, str(entry["service"]), str(entry["data_directory"]))
        except (ValueError, KeyError, TypeError, StopIteration):
            raise BerthError(
                f"{self._path} does not say what a killed drill left: ./berth down --stack {self._stack} and "
                f"./berth up --stack {self._stack} make the lab anew."
            ) from None
        say(f"Undoing {fault.name} on {', '.join(node.name for node in nodes)} ...")
        if fault.end is not None:
            fault.end(strike)
        self._path.unlink()
        return True
