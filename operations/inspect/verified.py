"""The last successful `berth verify` of a stack, which a promotion requires.

It is a tag of the stack, so it is the same on every deploy host.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from operations.pulumi.session import LONGEST_TAG, Session

TAG = "berth:verified"
WHAT = ("urn", "id", "type", "delete", "inputs", "outputs", "dependencies")
"""Of a resource: what no run changes that changes nothing else."""


@dataclass(frozen=True)
class Verified:
    """One green run."""

    time: str
    """UTC."""
    state: str
    """`fingerprint` of the state: with another one the stack was deployed since."""
    commit: str
    """Berth's commit, with `-dirty` where files of it were changed; empty outside of git."""


def fingerprint(session: Session) -> str:
    """sha256 over the resources of the state, secrets in plain text: every run encrypts them differently.

    Keys and passwords that nobody can guess are among them, so none of them can be found from it.
    """
    return _over(session.export(show_secrets=True))


def _over(export: Mapping[str, Any]) -> str:
    resources = (export.get("deployment") or {}).get("resources") or []
    # Their order is that of the last run, in which many are registered at once.
    kept = sorted(json.dumps([_sorted(one.get(key)) for key in WHAT], sort_keys=True) for one in resources)
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()


def _sorted(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


def save_last_verify(session: Session, state: str) -> None:
    """Record that the state with this fingerprint passed all checks."""
    text = json.dumps(asdict(Verified(now(), state, commit(session.workspace.root))), separators=(",", ":"))
    assert len(text) <= LONGEST_TAG
    session.set_tag(TAG, text)


def read(session: Session) -> Verified | None:
    """The last green run, if there was one."""
    try:
        return Verified(**json.loads(session.tag(TAG) or ""))
    except (ValueError, TypeError):
        return None


def now() -> str:
    """The time to the second, in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def commit(root: Path) -> str:
    """What `git` calls the program in this checkout; settings and records beside it are no part of that."""
    head = _git(root, "rev-parse", "HEAD")
    ours = (":(exclude)Pulumi.*.yaml", ":(exclude)promotions", ":(exclude)pins")
    changed = head and _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *ours)
    return f"{head}-dirty" if changed else head


def author(root: Path) -> str:
    """The user, by git's configuration where there is one."""
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
