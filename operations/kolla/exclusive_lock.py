"""One run of kolla-ansible at a time on the same inputs, also after one that was killed."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from operations import locks
from operations.errors import BerthError

OWNER = "owner.lock"
"""Locked by the run that uses the folder."""
SESSION = "session.lock"
"""Locked by kolla-ansible itself, which may outlive its owner; holds the number of its session."""


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Refuse while another run uses the folder; end what a killed one has left running."""

    def refuse() -> None:
        raise BerthError("Another run of kolla-ansible on this stack is running: wait for it to end.")

    def end() -> None:
        with contextlib.suppress(ValueError, ProcessLookupError):
            os.killpg(int((folder / SESSION).read_text(encoding="utf-8")), signal.SIGKILL)

    with locks.exclusive(folder / OWNER, refuse):
        with locks.exclusive(folder / SESSION, end):
            pass
        yield


@contextmanager
def inherited_lock(folder: Path) -> Iterator[IO[str]]:
    """The session's file, whose lock child processes inherit; the caller writes the session's number to it."""
    with locks.exclusive(folder / SESSION, lambda: None) as session:
        session.truncate(0)
        yield session
