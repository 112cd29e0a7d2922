"""What may remain of a stack outside its state: labelled Docker objects, the deploy host's files, data on nodes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from operations import access
from operations.errors import BerthError
from operations.workspace import PROJECT, StackFile, Workspace

LABEL = "berth.stack"
DATA_DIR = "/var/lib/berth/object-store"
CONTAINER = "docker:index/container:Container"


def _docker(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["docker", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BerthError("The docker program is not on this machine: ./berth doctor says how to mend that.") from None


def missing_nodes(export: Mapping[str, Any], stack: str) -> list[str]:
    """Lab nodes that the state knows and that do not run: nothing on them can be undone in order."""
    resources = (export.get("deployment") or {}).get("resources") or []
    wanted = {}
    for resource in resources:
        labels = (resource.get("inputs") or {}).get("labels") or []
        node = next((entry.get("value") for entry in labels if entry.get("label") == "berth.node"), None)
        if resource.get("type") == CONTAINER and node and not _is_remote(resource, resources):
            wanted[str(node)] = str(resource["inputs"].get("name", ""))
    if not wanted:
        return []
    running = _docker("ps", "--filter", f"label={LABEL}={stack}", "--format", "{{.Names}}").stdout.split()
    return sorted(node for node, container in wanted.items() if container not in running)


def _is_remote(resource: Mapping[str, Any], resources: Sequence[Mapping[str, Any]]) -> bool:
    provider = str(resource.get("provider", "")).rpartition("::")[0]
    inputs = next((r.get("inputs") or {} for r in resources if r.get("urn") == provider), {})
    return str(inputs.get("host") or "").startswith("ssh://")


def remove(stack: str) -> Iterator[str]:
    """Remove what carries the stack's label on this machine; yields each thing's name when it is gone."""
    for kind, listing, words in (
        ("container", ("ps", "--all"), ("rm", "--force", "--volumes")),
        ("network", ("network", "ls"), ("network", "rm")),
        ("volume", ("volume", "ls"), ("volume", "rm", "--force")),
    ):
        form = "{{.Names}}" if kind == "container" else "{{.Name}}"
        found = _docker(*listing, "--filter", f"label={LABEL}={stack}", "--format", form)
        if found.returncode:
            raise BerthError(f"Docker can't be asked what is left of {stack}: {found.stderr.strip()}")
        for name in found.stdout.split():
            removed = _docker(*words, name)
            if removed.returncode:
                raise BerthError(f"The {kind} {name} can't be removed: {removed.stderr.strip()}")
            yield f"{kind} {name}"


def forget_state(workspace: Workspace, stack: str) -> None:
    """Remove a stack's own files from the state directory: checkpoint, backups, history, locks."""
    pulumi = workspace.state / ".pulumi"
    for path in (pulumi / "stacks" / PROJECT).glob(f"{stack}.json*"):
        path.unlink()
    for part in ("history", "backups"):
        shutil.rmtree(pulumi / part / PROJECT / stack, ignore_errors=True)
    shutil.rmtree(workspace.locks(stack), ignore_errors=True)


def data(stack_file: StackFile, outputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(node, directory) of everything that `down` leaves on real nodes."""
    path = str((stack_file.settings.get("objectStore") or {}).get("dataDir", DATA_DIR))
    return [(node["name"], path) for node in outputs.get("nodes", []) if "object-store" in node.get("roles", [])]


def delete_data(workspace: Workspace, stack: str, doors: Sequence[access.Door], node: str, path: str) -> None:
    """Remove a data directory from a node."""
    argv = access.ssh_command(
        workspace, stack, doors, node, ["sudo", "-n", "rm", "-rf", "--one-file-system", "--", path]
    )
    result = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BerthError(f"{path} on {node} could not be deleted: {result.stderr.strip()}")
