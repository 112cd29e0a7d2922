"""The journal of a run: one line per step beside the checkpoint, folded in at the end or by the next run."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from engine import files
from engine.errors import EngineError
from engine.state import Raw

Slots = dict[int, Raw | None]


class Journal:
    """Append-only; a line is on the disk before the step it announces begins."""

    def __init__(self, path: Path, base: str) -> None:
        self._path = path
        self._base = base
        self._descriptor: int | None = None
        self._write_lock = Lock()
        self._sync_lock = Lock()
        self._written = 0
        self._synced = 0
        self._tickets = 0

    def begin(self, operation: str, urn: str) -> int:
        """Announce a step on a real resource."""
        with self._write_lock:
            self._tickets += 1
            ticket = self._tickets
        self._append({"begin": ticket, "operation": operation, "urn": urn}, sync=True)
        return ticket

    def end(self, ticket: int | None, slots: Slots) -> None:
        """Record what a step left in the state; steps without a ticket touched nothing outside of it."""
        changed = {str(slot): raw for slot, raw in slots.items()}
        self._append({"end": ticket, "slots": changed}, sync=ticket is not None)

    def folded(self, result: str) -> None:
        """Announce the checkpoint that this journal becomes part of."""
        self._append({"folded": result}, sync=True)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was written."""
        return self._descriptor is None

    def remove(self) -> None:
        """Close and delete the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._path.unlink(missing_ok=True)
            files.sync_directory(self._path.parent)

    def _append(self, line: dict[str, Any], sync: bool) -> None:
        data = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        with self._write_lock:
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
                data = json.dumps({"base": self._base}).encode() + b"\n" + data
                files.sync_directory(self._path.parent)
            while data:
                data = data[os.write(self._descriptor, data) :]
            self._written += 1
            mine = self._written
        if sync:
            self._sync(mine)

    def _sync(self, mine: int) -> None:
        """Flush to the disk; steps that end together share one flush."""
        with self._sync_lock:
            if self._synced < mine and self._descriptor is not None:
                upto = self._written
                os.fsync(self._descriptor)
                self._synced = upto


def announce(path: Path, result: str) -> None:
    """Note in a journal left behind which checkpoint it is about to become part of."""
    with path.open("ab") as file:
        file.write(b"\n" + json.dumps({"folded": result}).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _parse(line: bytes) -> dict[str, Any] | None:
    """One line; a line that the crash cut off was never acted upon."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


@dataclass
class Remains:
    """What an interrupted run left."""

    slots: Slots = field(default_factory=dict)
    pending: list[tuple[str, str]] = field(default_factory=list)
    """Operation and URN of steps that began and did not end."""
    already_folded: bool = False


def read(path: Path, current: str) -> Remains | None:
    """The journal of an earlier run, against the fingerprint of the checkpoint as it is now."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return None
    entries = [entry for line in lines if (entry := _parse(line)) is not None]
    remains = Remains()
    if not entries:
        return remains
    begun: dict[int, tuple[str, str]] = {}
    for entry in entries[1:]:
        if "begin" in entry:
            begun[entry["begin"]] = (entry["operation"], entry["urn"])
        elif "end" in entry:
            begun.pop(entry["end"], None)
            remains.slots.update({int(slot): raw for slot, raw in entry["slots"].items()})
        elif entry.get("folded") == current:
            remains.already_folded = True
    remains.pending = list(begun.values())
    if not remains.already_folded and entries[0].get("base") != current:
        raise EngineError(
            f"an interrupted run left the journal {path}, but the state was changed since by something else; "
            "compare both, then run `cancel --yes`, which sets the journal aside as .journal.orphaned"
        )
    return remains
