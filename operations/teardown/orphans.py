"""What may remain of a stack outside its state: labelled Docker objects, the deploy host's files, data on nodes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from config.naming import NODE_LABEL, STACK_LABEL
from operations import ssh
from operations.errors import BerthError
from operations.pulumi.recovery import LISTINGS, PROVIDER, Daemon, daemon
from operations.pulumi.state import CONTAINER
from operations.workspace import StackFile, Workspace

DATA_DIR = "/var/lib/berth/object-store"


def _docker(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return Daemon().run(*words)
    except FileNotFoundError:
        raise BerthError("The docker program is not on this machine: ./berth doctor shows how to install it.") from None


def missing_nodes(export: Mapping[str, Any], stack: str) -> list[str]:
    """Lab nodes that the state knows and that do not run: nothing on them can be undone in order."""
    resources = (export.get("deployment") or {}).get("resources") or []
    remote = {
        r.get("urn") for r in resources if r.get("type") == PROVIDER and daemon(r.get("inputs") or {}) != Daemon()
    }
    expected = {}
    for resource in resources:
        if resource.get("type") != CONTAINER or str(resource.get("provider", "")).rpartition("::")[0] in remote:
            continue
        labels = {entry.get("label"): entry.get("value") for entry in resource["inputs"].get("labels") or []}
        if NODE_LABEL in labels:
            expected[str(labels[NODE_LABEL])] = str(resource["inputs"].get("name", ""))
    if not expected:
        return []
    running = _docker("ps", "--filter", f"label={STACK_LABEL}={stack}", "--format", "{{.Names}}").stdout.split()
    return sorted(node for node, container in expected.items() if container not in running)


def remove(stack: str) -> Iterator[str]:
    """Remove what carries the stack's label on this machine; yields each thing's name when it is gone."""
    volumes = ("volume", ("volume", "ls"), "{{.Name}}", ("volume", "rm", "--force"))
    for kind, listing, form, words in (*LISTINGS.values(), volumes):
        found = _docker(*listing, "--filter", f"label={STACK_LABEL}={stack}", "--format", form)
        if found.returncode:
            raise BerthError(f"Docker can't list what is left of {stack}: {found.stderr.strip()}")
        for name in found.stdout.split():
            removed = _docker(*words, name)
            if removed.returncode:
                raise BerthError(f"The {kind} {name} can't be removed: {removed.stderr.strip()}")
            yield f"{kind} {name}"


def machines(stack_file: StackFile) -> dict[str, bool]:
    """Virtual machines that Berth created, and whether their disks are kept. Not validated: `down` must always work."""
    if not stack_file.settings.get("virtualbox"):
        return {}
    return {
        node["name"]: (node.get("virtualbox") or {}).get("replace") is not True
        for node in stack_file.settings.get("nodes") or []
        if node.get("provider", "virtualbox") == "virtualbox"
    }


def data(stack_file: StackFile, outputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(node, directory) of everything that `down` leaves on nodes that Berth did not make."""
    path = str((stack_file.settings.get("objectStore") or {}).get("dataDir", DATA_DIR))
    there = [node for node in outputs.get("nodes", []) if node["name"] not in machines(stack_file)]
    return [(node["name"], path) for node in there if "object-store" in node.get("roles", [])]


def delete_data(workspace: Workspace, stack: str, hosts: Sequence[ssh.SshHost], node: str, path: str) -> None:
    """Remove a data directory from a node."""
    argv = ssh.ssh_command(workspace, stack, hosts, node, ["sudo", "-n", "rm", "-rf", "--one-file-system", "--", path])
    result = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BerthError(f"{path} on {node} could not be deleted: {result.stderr.strip()}")
