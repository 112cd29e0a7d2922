"""The inputs of the last complete deployment: a document of the stack, so that any deploy host can continue from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from operations.pulumi import documents
from operations.pulumi.session import Session
from operations.workspace import Workspace, write_private

NAME = "kolla-deployed"
STACK_DIR = "@STACK_DIR@"
"""In the document: `Workspace.stack_dir`, which every deploy host has elsewhere."""


@dataclass(frozen=True)
class Deployed:
    """A deployment without its secrets."""

    document: Mapping[str, Any]
    """`components.kolla.render.document`."""
    access: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Ansible's variables for the way into each node, with a file of host keys that outlives the node's own entry."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Digest of each image as it was locked, by the name that nodes pull."""
    known_hosts: str = ""
    """The host keys of then."""


def folder(workspace: Workspace, stack: str) -> Path:
    """Where runs of kolla-ansible have their files."""
    return workspace.stack_dir(stack) / "kolla"


def read(session: Session) -> Deployed | None:
    """The last one, its host keys in a file of this machine; None before the first."""
    kept = documents.read(session, NAME)
    found = _from(kept) if kept is not None else _migrate(session)
    if found is None:
        return None
    write_private(_host_keys(session), found.known_hosts)
    return _with_paths(found, STACK_DIR, str(session.workspace.stack_dir(session.stack)))


def save(
    session: Session,
    document: Mapping[str, Any],
    access: Mapping[str, Mapping[str, Any]],
    images: Mapping[str, str],
) -> None:
    """Keep what was deployed, and the host keys of its nodes: who leaves the stack has to be reached once more."""
    now = session.workspace.stack_dir(session.stack) / "known_hosts"
    made = Deployed(document, access, images, now.read_text(encoding="utf-8") if now.is_file() else "")
    _keep(session, _with_paths(made, str(now), str(_host_keys(session))))


def forget(session: Session) -> None:
    """There is no deployment any more."""
    documents.write(session, NAME, {})
    _former(session).unlink(missing_ok=True)


def _keep(session: Session, made: Deployed) -> None:
    kept = _with_paths(made, str(session.workspace.stack_dir(session.stack)), STACK_DIR)
    documents.write(session, NAME, asdict(kept))
    _former(session).unlink(missing_ok=True)


def _migrate(session: Session) -> Deployed | None:
    """What an earlier version kept in files of this deploy host."""
    try:
        former = json.loads(_former(session).read_text(encoding="utf-8"))
        former["known_hosts"] = _host_keys(session).read_text(encoding="utf-8")
    except (OSError, ValueError, TypeError):
        return None
    found = _from(former)
    if found:
        _keep(session, found)
    return found


def _from(kept: Any) -> Deployed | None:
    try:
        return Deployed(**kept)
    except TypeError:
        return None


def _with_paths(made: Deployed, old: str, new: str) -> Deployed:
    access = {
        name: {key: value.replace(old, new) if isinstance(value, str) else value for key, value in way.items()}
        for name, way in made.access.items()
    }
    return Deployed(made.document, access, made.images, made.known_hosts)


def _host_keys(session: Session) -> Path:
    return folder(session.workspace, session.stack) / "known_hosts"


def _former(session: Session) -> Path:
    return folder(session.workspace, session.stack) / "deployed.json"
