"""Who holds a stack's state: the CLI's own locks, and which of them are of dead processes."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from operations.errors import BerthError

CLOCK_SECONDS = 600
"""How far a clock may have been set while the machine ran."""
ALL_PROCESSES = "pid:[4026531836]"
"""The kernel's first pid namespace, from which every process is seen."""
LOCKED = "the stack is currently locked by"
"""What the CLI begins with where another one holds the state; a line for each lock follows."""
CREATED = re.compile(r"created by (\S+)@(\S+) \(pid (\d+)\) at (\S+)")


@dataclass(frozen=True)
class StateLock:
    """One lock, as the CLI wrote it."""

    pid: int
    username: str
    hostname: str
    timestamp: str

    def surely_dead(self) -> bool:
        """Whether its process ran on this machine and is gone."""
        if self.hostname != socket.gethostname():
            return False
        # The CLI does not record its pid namespace, so the processes of all of them must be visible.
        return _is_before_boot(self.timestamp) or (_namespace() == ALL_PROCESSES and self.pid not in _all_numbers())

    def __str__(self) -> str:
        return f"{self.username}@{self.hostname} (pid {self.pid}) since {self.timestamp}"


class StateLocked(BerthError):
    """Others hold the state."""

    def __init__(self, stack: str, locks: Sequence[StateLock]) -> None:
        self.locks = list(locks)
        super().__init__(
            f"The state of {stack} is locked by {', '.join(map(str, locks)) or 'another process'}: wait for it to end. "
            f'If it is surely gone, release its lock: eval "$(./berth env --stack {stack})"; pulumi cancel --yes.'
        )


def named_in(text: str) -> list[StateLock]:
    """The locks that the CLI named when it refused a change."""
    return [StateLock(int(pid), user, host, since) for user, host, pid, since in CREATED.findall(text)]


def locks(directory: Path) -> list[StateLock]:
    """All locks of the stack whose directory in a file backend this is."""
    found = []
    for path in sorted(directory.glob("*.json")):
        try:
            raw = json.loads(path.read_bytes())
        except FileNotFoundError:
            continue
        except ValueError:
            raw = {}
        names = [str(raw.get(key, "?")) for key in ("username", "hostname", "timestamp")]
        found.append(StateLock(int(raw.get("pid", 0)), *names))
    return found


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _is_before_boot(timestamp: str) -> bool:
    try:
        seconds = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
        written = datetime.fromisoformat(timestamp)
        return written < datetime.now(UTC) - timedelta(seconds=seconds + CLOCK_SECONDS)
    except (OSError, ValueError, IndexError, TypeError):
        return False


def _all_numbers() -> set[int]:
    """Every number that a living process has in any pid namespace."""
    found: set[int] = set()
    for path in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            lines = [line for line in path.read_text(errors="replace").splitlines() if line.startswith("NSpid:")]
            found |= {int(number) for line in lines for number in line.split()[1:]}
    return found
