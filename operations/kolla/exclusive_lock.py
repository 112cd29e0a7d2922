"""One run of kolla-ansible at a time on the same inputs, also after one that was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from operations.errors import BerthError

OWNER = "owner.lock"
"""Locked by the run that uses the folder."""
SESSION = "session.lock"
"""Locked by kolla-ansible itself, which may outlive its owner; holds the number of its session."""


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Refuse while another run uses the folder; end what a killed one has left running."""
    with (folder / OWNER).open("a") as owner:
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BerthError("Another run of kolla-ansible on this stack is running: wait for it to end.") from None
        with (folder / SESSION).open("a+", encoding="utf-8") as session:
            try:
                fcntl.flock(session, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                session.seek(0)
                with contextlib.suppress(ValueError, ProcessLookupError):
                    os.killpg(int(session.read()), signal.SIGKILL)
                fcntl.flock(session, fcntl.LOCK_EX)
        yield


@contextmanager
def inherited_lock(folder: Path) -> Iterator[IO[str]]:
    """The session's file, whose lock child processes inherit; the caller writes the session's number to it."""
    with (folder / SESSION).open("w", encoding="utf-8", buffering=1) as session:
        fcntl.flock(session, fcntl.LOCK_EX)
        yield session
