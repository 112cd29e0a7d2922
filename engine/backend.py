"""The file backend's directory: where stacks, locks and journals lie."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlparse

from engine import checkpoint, files
from engine.checkpoint import Checkpoint
from engine.errors import EngineError, StackNotFound

ORGANIZATION = "organization"


class Backend:
    """One `file://` backend, seen from one project."""

    def __init__(self, root: Path, project: str) -> None:
        self.root = root / ".pulumi"
        self.project = project

    @classmethod
    def from_environment(cls, project: str) -> Backend:
        """The backend that PULUMI_BACKEND_URL names."""
        url = os.environ.get("PULUMI_BACKEND_URL", "")
        if not url.startswith("file://"):
            raise EngineError(
                f"PULUMI_BACKEND_URL is {url!r}; the embedded engine needs a directory in the form file:///path"
            )
        parsed = urlparse(url)
        path = unquote(parsed.netloc + parsed.path)
        return cls(Path(path).expanduser().absolute(), project)

    def state_file(self, stack: str) -> Path:
        """The stack's checkpoint."""
        return self.root / "stacks" / self.project / f"{stack}.json"

    def journal_file(self, stack: str) -> Path:
        """The journal of a run under way, beside the checkpoint."""
        return self.root / "stacks" / self.project / f"{stack}.journal"

    def lock_directory(self, stack: str) -> Path:
        """Where both engines put their lock files."""
        return self.root / "locks" / ORGANIZATION / self.project / stack

    def stacks(self) -> list[str]:
        """All stacks of the project."""
        return sorted(path.stem for path in (self.root / "stacks" / self.project).glob("*.json"))

    def exists(self, stack: str) -> bool:
        """Whether the stack was created."""
        return self.state_file(stack).exists()

    def load(self, stack: str) -> tuple[Checkpoint, str]:
        """The stack's checkpoint with its fingerprint."""
        path = self.state_file(stack)
        if not path.exists():
            if path.with_name(f"{path.name}.gz").exists():
                raise EngineError(f"{path}.gz: compressed state is not supported by the embedded engine")
            raise StackNotFound(f"no stack named '{stack}' found; create it with `stack init {stack}`")
        return checkpoint.load(path)

    def create(self, stack: str, salt: str) -> None:
        """Write the state of a new, empty stack."""
        if not re.fullmatch(r"[a-zA-Z0-9_.-]{1,100}", stack):
            raise EngineError(f"stack name {stack!r}: use letters, digits, '-', '_' and '.'")
        if self.exists(stack):
            raise EngineError(f"stack '{stack}' already exists")
        meta = self.root / "meta.yaml"
        if not meta.exists():
            files.write_atomically(meta, b"version: 1\n", 0o644)
        empty = Checkpoint(f"{ORGANIZATION}/{self.project}/{stack}", salt)
        files.write_atomically(self.state_file(stack), checkpoint.prepare(empty))

    def remove(self, stack: str) -> None:
        """Delete the stack's state; the backup stays."""
        files.keep_backup(self.state_file(stack))
        self.state_file(stack).unlink()
