"""Locks: one run at a time of what shares a file, one change of a stack, and the record of an interrupted one."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from operations.errors import BerthError

TIMEOUT = 120.0
"""Seconds to wait for the CLI of a killed run to stop: it finishes what it has under way."""


@contextmanager
def exclusive(file: Path, busy: Callable[[], None]) -> Iterator[IO[str]]:
    """Hold a lock file, which is handed on; where another process has it, `busy` raises or the end of that is awaited.

    A child process that inherits the file holds it, too.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+", encoding="utf-8") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            busy()
            fcntl.flock(held, fcntl.LOCK_EX)
        yield held


@dataclass(frozen=True)
class Process:
    """A process, distinguishable from a later one with the same pid."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(pid, _start_time(pid) or 0, _boot_id())

    @property
    def is_dead(self) -> bool:
        """Surely gone: other boot, no such process, or another process under its number."""
        return self.boot != _boot_id() or _start_time(self.pid) != self.started


def session_of(leader: Process) -> list[int]:
    """Living processes of a session, which keep its number in use after its leader is gone."""
    if leader.boot != _boot_id():
        return []
    found = {int(path.name): _stat(int(path.name)) for path in Path("/proc").glob("[0-9]*")}
    return [pid for pid, fields in found.items() if fields and fields[0] != "Z" and int(fields[3]) == leader.pid]


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on, none where there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return stat.rpartition(")")[2].split()


def _start_time(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] != "Z" else None


@dataclass(frozen=True)
class Holder:
    """Who changes a stack: written into the lock file, emptied when it ends in order."""

    command: str
    berth: Process
    cli: Process | None = None

    @classmethod
    def parse(cls, text: str) -> Holder | None:
        try:
            entry = json.loads(text)
            cli = Process(**entry["cli"]) if entry["cli"] else None
            return cls(entry["command"], Process(**entry["berth"]), cli)
        except (ValueError, KeyError, TypeError):
            return None


class StackLock:
    """Held while a stack is changed, and waited for while the CLI of a killed `berth` still ends."""

    def __init__(
        self,
        directory: Path,
        stack: str,
        command: str,
        log: Callable[[str], None] = lambda _: None,
        timeout: float = TIMEOUT,
    ) -> None:
        self._path = directory / "lock"
        self._stack = stack
        self._command = command
        self._log = log
        self._timeout = timeout
        self._cli: Process | None = None
        self.unfinished = False
        """Set when the CLI was killed or could not save the state: the next run clears up after it."""
        self.descriptor = -1
        self.interrupted: Holder | None = None
        """The holder of a run that never ended in order, all its processes being dead now."""

    def __enter__(self) -> StackLock:
        deadline, waits = time.monotonic() + self._timeout, False
        while True:
            free, holder = self._try(), self._holder()
            if free and (holder is None or holder.cli is None or holder.cli.is_dead):
                break
            if free:
                os.close(self.descriptor)
            # Only the CLI of a killed run is waited for: it was interrupted.
            if not free or time.monotonic() > deadline:
                raise BerthError(self._refusal(holder))
            if not waits:
                self._log("A killed run is finishing its current operations; waiting for it.")
                waits = True
            time.sleep(0.2)
        self.interrupted = holder
        self.write(Holder(self._command, Process.of(os.getpid())))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path.exists() and not self.unfinished and (self._cli is None or self._cli.is_dead):
            os.truncate(self.descriptor, 0)
        os.close(self.descriptor)

    def _try(self) -> bool:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # `down` removes the file: a lock on a file that is no longer there protects nothing.
            if self._path.exists() and os.path.samestat(os.fstat(descriptor), self._path.stat()):
                self.descriptor = descriptor
                return True
        except BlockingIOError:
            os.close(descriptor)
            return False
        os.close(descriptor)
        return self._try()

    def _holder(self) -> Holder | None:
        return Holder.parse(self._path.read_text(encoding="utf-8")) if self._path.exists() else None

    def _refusal(self, holder: Holder | None) -> str:
        if holder is None:
            return f"Stack {self._stack} is being changed by another berth command: wait for it to end."
        pid = holder.cli.pid if holder.berth.is_dead and holder.cli else holder.berth.pid
        return f"Stack {self._stack} is being changed by 'berth {holder.command}' (process {pid}): wait for it to end."

    def write(self, holder: Holder) -> None:
        """Write the holder into the lock file."""
        os.truncate(self.descriptor, 0)
        os.pwrite(self.descriptor, json.dumps(asdict(holder)).encode(), 0)

    def cli_started(self, pid: int) -> None:
        """Add the CLI's process, for the run that finds this one dead."""
        self._cli = Process.of(pid)
        self.write(Holder(self._command, Process.of(os.getpid()), self._cli))
