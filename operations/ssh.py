"""SSH connections to nodes: from the stack's outputs to an ssh command line with a pinned host key."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operations.errors import UsageError
from operations.workspace import Workspace, write_private


@dataclass(frozen=True)
class SshHost:
    """One node as ssh reaches it from the deploy host."""

    name: str
    hostname: str
    port: int
    user: str
    host_key: str
    key_file: Path
    address: str
    """In the settings: that of the stack's own network."""
    roles: tuple[str, ...]


def hosts(workspace: Workspace, outputs: Mapping[str, Any]) -> list[SshHost]:
    """How to reach each node, in the settings' order."""
    nodes = {node["name"]: node for node in outputs.get("nodes", [])}
    return [
        SshHost(
            name=entry["name"],
            hostname=entry["host"],
            port=int(entry.get("port", 22)),
            user=entry.get("user", "root"),
            host_key=" ".join(entry["host_key"].split()[:2]),
            key_file=workspace.root / Path(entry["key_file"]).expanduser(),
            address=nodes.get(entry["name"], {}).get("address", entry["host"]),
            roles=tuple(nodes.get(entry["name"], {}).get("roles", ())),
        )
        for entry in outputs.get("node_access", [])
    ]


def ssh_command(
    workspace: Workspace, stack: str, every: Sequence[SshHost], node: str, command: Sequence[str]
) -> list[str]:
    """The ssh program's command line for a shell or a command on one node; pins all nodes' keys in a file."""
    named = {host.name: host for host in every}
    if node not in named:
        raise UsageError(f"There is no node '{node}' in stack {stack}: {', '.join(named) or 'it has no nodes'}.")
    host = named[node]
    known_hosts = workspace.stack_dir(stack) / "ssh_known_hosts"
    write_private(known_hosts, "".join(f"{other.name} {other.host_key}\n" for other in every))
    argv = ["ssh", "-i", str(host.key_file), "-p", str(host.port), "-l", host.user]
    for option in (
        f"UserKnownHostsFile={known_hosts}",
        "GlobalKnownHostsFile=/dev/null",
        "StrictHostKeyChecking=yes",
        # Two nodes may share an address and differ by port alone: the key is looked up by the node's name.
        f"HostKeyAlias={host.name}",
        "IdentitiesOnly=yes",
        "ConnectTimeout=15",
        "LogLevel=ERROR",
    ):
        argv += ["-o", option]
    argv.append(host.hostname)
    if command:
        # One argument is a command line for the node's shell, several are one command with its arguments.
        argv += ["--", command[0] if len(command) == 1 else shlex.join(command)]
    return argv


def root_prefix(workspace: Workspace, stack: str, every: Sequence[SshHost], host: SshHost) -> list[str]:
    """What precedes one command line for a node, so that root runs it there."""
    return [
        *ssh_command(workspace, stack, every, host.name, ()),
        "--",
        *([] if host.user == "root" else ["sudo", "-n"]),
    ]
