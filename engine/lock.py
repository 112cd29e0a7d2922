"""The stack's lock in the CLI's own layout: either engine sees the other's."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import socket
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine import files
from engine.checkpoint import now
from engine.errors import EngineError

CLOCK_SECONDS = 600
"""How far a clock may have been set while the machine ran."""
ALL_PROCESSES = "pid:[4026531836]"
"""The kernel's first pid namespace, from which every process is seen."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock; boot and pid namespace are known only for locks of this engine."""

    path: Path
    pid: int
    username: str
    hostname: str
    timestamp: str
    boot: str = ""
    namespace: str = ""

    def surely_dead(self) -> bool:
        """Whether the process ran here, in this boot and pid namespace (as far as the lock tells), and is gone."""
        if self.hostname != socket.gethostname():
            return False
        if self.boot:
            return (self.boot, self.namespace) == (_boot(), _namespace()) and not _alive(self.pid)
        # The CLI tells neither; its number may be one of another pid namespace, so all of them must be in sight.
        return _is_before_boot(self.timestamp) or (_namespace() == ALL_PROCESSES and self.pid not in _all_numbers())

    def __str__(self) -> str:
        return f"{self.username}@{self.hostname} (pid {self.pid}) since {self.timestamp}"


class StackLocked(EngineError):
    """Another process works on the stack, or one stopped without saying so."""


def holders(directory: Path) -> list[Holder]:
    """All locks of the stack."""
    found = []
    for path in sorted(directory.glob("*.json")):
        try:
            raw = json.loads(path.read_bytes())
        except FileNotFoundError:
            continue
        except ValueError:
            raw = {}
        found.append(
            Holder(
                path,
                int(raw.get("pid", 0)),
                str(raw.get("username", "?")),
                str(raw.get("hostname", "?")),
                str(raw.get("timestamp", "?")),
                str(raw.get("boot", "")),
                str(raw.get("pidNamespace", "")),
            )
        )
    return found


class Lock:
    """This process's lock on one stack."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / f"{uuid.uuid4()}.json"
        self.released_dead: list[Holder] = []

    def acquire(self) -> None:
        """Write the own lock, then look for others: two that start at once both see each other."""
        content = {
            "pid": os.getpid(),
            "username": pwd.getpwuid(os.getuid()).pw_name,
            "hostname": socket.gethostname(),
            "timestamp": now(),
            "boot": _boot(),
            "pidNamespace": _namespace(),
        }
        files.write_atomically(self._path, json.dumps(content).encode(), 0o644)
        others = [holder for holder in holders(self._directory) if holder.path != self._path]
        alive = [holder for holder in others if not holder.surely_dead()]
        if alive:
            self.release()
            raise StackLocked(
                "the stack is currently locked by "
                + "; ".join(map(str, alive))
                + f". Wait for it, or, if it is surely gone, run `cancel --yes` (lock file {alive[0].path})"
            )
        self.released_dead = others

    def forget_dead(self) -> None:
        """Remove the locks of dead processes, once what they left is folded in."""
        for holder in self.released_dead:
            holder.path.unlink(missing_ok=True)

    def release(self) -> None:
        """Remove the own lock."""
        self._path.unlink(missing_ok=True)


def _boot() -> str:
    return _first_line(Path("/proc/sys/kernel/random/boot_id"))


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _is_before_boot(timestamp: str) -> bool:
    try:
        seconds = float(_first_line(Path("/proc/uptime")).split()[0])
        written = datetime.fromisoformat(timestamp)
        return written < datetime.now(UTC) - timedelta(seconds=seconds + CLOCK_SECONDS)
    except (ValueError, IndexError, TypeError):
        return False


def _all_numbers() -> set[int]:
    """Every number that a living process has in any pid namespace."""
    found: set[int] = set()
    for path in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            lines = [line for line in path.read_text(errors="replace").splitlines() if line.startswith("NSpid:")]
            found |= {int(number) for line in lines for number in line.split()[1:]}
    return found


def _first_line(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # A killed process that nobody has waited for yet still has its number.
    return not _first_line(Path(f"/proc/{pid}/stat")).rpartition(")")[2].strip().startswith("Z")
