"""Virtual environments beside Berth's own, made as a lock file pins them and again when it has changed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from operations.host.shell import Shell


class Venv:
    """An environment and its lock file, with what is done to it afterwards (`then`) and the files that decide that."""

    def __init__(self, folder: Path, lock: Path, *others: Path, then: Callable[[], None] = lambda: None) -> None:
        self.folder = folder
        self._lock = lock
        self._then = then
        self._inputs = (lock, *others)
        self._stamp = folder / ".berth-lock"

    @property
    def is_current(self) -> bool:
        """Whether it was finished with these very files."""
        return self._stamp.is_file() and self._stamp.read_bytes() == self._wanted()

    def install(self, shell: Shell) -> None:
        """Make it anew; pip's own settings apply."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shell.run([sys.executable, "-m", "venv", str(self.folder)])
        pip = [self.program("python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-compile"]
        shell.run([*pip, "--require-hashes", "--requirement", str(self._lock)])
        self._then()
        self._stamp.write_bytes(self._wanted())

    def program(self, name: str) -> str:
        """A program of it."""
        return str(self.folder / "bin" / name)

    def _wanted(self) -> bytes:
        return b"".join(path.read_bytes() for path in self._inputs)
