"""The inputs of the last complete deployment: a document of the stack, so that any deploy host can continue from it."""

from __future__ import annotations

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
    try:
        found = Deployed(**documents.read(session, NAME))
    except TypeError:
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
    here = session.workspace.stack_dir(session.stack)
    now = here / "known_hosts"
    made = Deployed(document, access, images, now.read_text(encoding="utf-8") if now.is_file() else "")
    made = _with_paths(_with_paths(made, str(now), str(_host_keys(session))), str(here), STACK_DIR)
    documents.write(session, NAME, asdict(made))


def forget(session: Session) -> None:
    """There is no deployment any more."""
    documents.write(session, NAME, {})


def _with_paths(made: Deployed, old: str, new: str) -> Deployed:
    access = {
        name: {key: value.replace(old, new) if isinstance(value, str) else value for key, value in way.items()}
        for name, way in made.access.items()
    }
    return Deployed(made.document, access, made.images, made.known_hosts)


def _host_keys(session: Session) -> Path:
    return folder(session.workspace, session.stack) / "known_hosts"
