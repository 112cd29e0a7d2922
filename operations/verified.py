"""What the last green `berth verify` of a stack saw: a promotion starts from nothing else."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from operations.workspace import Workspace, write_private


@dataclass(frozen=True)
class Verified:
    """One green run."""

    time: str
    """UTC."""
    checkpoint: str
    """sha256 of the state's file: another one is a stack that was deployed since."""
    commit: str
    """Berth's commit, with `-dirty` where files of it were changed; empty outside of git."""


def fingerprint(workspace: Workspace, stack: str) -> str:
    """The state's file as it is now; empty where there is none."""
    for path in (workspace.checkpoint(stack), workspace.checkpoint(stack).with_name(f"{stack}.json.gz")):
        if path.exists():
            return hashlib.sha256(path.read_bytes()).hexdigest()
    return ""


def note(workspace: Workspace, stack: str, checkpoint: str) -> None:
    """Keep that the state with this fingerprint was found right."""
    entry = Verified(now(), checkpoint, commit(workspace.root))
    write_private(_path(workspace, stack), json.dumps(asdict(entry), indent=2) + "\n")


def read(workspace: Workspace, stack: str) -> Verified | None:
    """The last green run, if there was one."""
    try:
        return Verified(**json.loads(_path(workspace, stack).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def now() -> str:
    """The time to the second, in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def commit(root: Path) -> str:
    """What `git` calls the program in this checkout; settings and records beside it are no part of that."""
    head = _git(root, "rev-parse", "HEAD")
    ours = (":(exclude)Pulumi.*.yaml", ":(exclude)promotions")
    changed = head and _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *ours)
    return f"{head}-dirty" if changed else head


def who(root: Path) -> str:
    """Who is at work, in git's words where it knows some."""
    import getpass
    import socket

    name, address = _git(root, "config", "user.name"), _git(root, "config", "user.email")
    return f"{name} <{address}>" if name and address else f"{getpass.getuser()}@{socket.gethostname()}"


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _path(workspace: Workspace, stack: str) -> Path:
    return workspace.stack_dir(stack) / "verified.json"
