"""What the last complete deployment was made from, kept on the deploy host so that the next one does what differs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from config import naming
from operations.workspace import Workspace, write_private


@dataclass(frozen=True)
class Deployed:
    """A deployment without its secrets."""

    document: Mapping[str, Any]
    """`components.kolla.render.document`."""
    access: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Ansible's variables for the way into each node, with a file of host keys that outlives the node's own entry."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Digest of each image as it was locked, by the name that nodes pull."""


def folder(workspace: Workspace, stack: str) -> Path:
    """Where all of this is kept."""
    return workspace.stack_dir(stack) / "kolla"


def read(workspace: Workspace, stack: str) -> Deployed | None:
    """The last one; None before the first, and on a machine that never deployed this stack."""
    try:
        return Deployed(**json.loads((folder(workspace, stack) / "deployed.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def note(
    workspace: Workspace,
    stack: str,
    document: Mapping[str, Any],
    access: Mapping[str, Mapping[str, Any]],
    images: Mapping[str, str],
) -> None:
    """Keep what was deployed, and the host keys of its nodes: who leaves the stack has to be reached once more."""
    own = folder(workspace, stack) / "known_hosts"
    now = naming.known_hosts_file(stack)
    write_private(own, now.read_text(encoding="utf-8") if now.is_file() else "")
    options = "ansible_ssh_common_args"
    ways = {
        name: {key: str(value).replace(str(now), str(own)) if key == options else value for key, value in way.items()}
        for name, way in access.items()
    }
    made = Deployed(document, ways, images)
    write_private(folder(workspace, stack) / "deployed.json", json.dumps(asdict(made), indent=1, sort_keys=True))


def forget(workspace: Workspace, stack: str) -> None:
    """There is no deployment any more."""
    (folder(workspace, stack) / "deployed.json").unlink(missing_ok=True)
