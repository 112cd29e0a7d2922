"""Nodes that are there already (bare metal, running VMs) and reached over SSH as they are."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pulumi

from components.lib.host_files.connection import SshEndpoint
from components.nodes.node import Node
from config.model.nodes import NodeSettings
from config.problems import Problem, SettingsError


class Preprovisioned:
    """The provider of machines that Berth takes as they are."""

    private_key = None

    def node(self, settings: NodeSettings) -> Node:
        """The node as the settings describe it: its key is read here, its host key is the pinned one."""
        ssh = settings.ssh
        key_file = ssh.key_path or Path()
        return Node(
            settings=settings,
            access=SshEndpoint(
                host=ssh.host or settings.address,
                port=ssh.port,
                user=ssh.user,
                host_key=str(ssh.host_key),
                private_key=pulumi.Output.secret(read_key(key_file)),
            ),
            key_file=str(key_file),
        )


@cache
def read_key(path: Path) -> str:
    """A private key of the user's. Raises SettingsError where it is missing; in a preview it is empty then."""
    if path.is_file():
        return path.read_text(encoding="utf-8")
    problem = Problem(
        "berth:nodes[*].ssh.keyFile", f"There is no file {path}.", "Put the nodes' private SSH key there."
    )
    if not pulumi.runtime.is_dry_run():
        raise SettingsError(pulumi.get_stack(), [problem])
    # A preview in CI has no keys and contacts no node: it stays useful without them. Said once for all nodes.
    pulumi.log.warn(str(problem))
    return ""


@cache
def public_half(path: Path) -> str:
    """The line for authorized_keys that belongs to a private key; empty where `read_key` is."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_private_key,
        load_ssh_private_key,
    )

    text = read_key(path)
    if not text:
        return ""
    load = load_ssh_private_key if "BEGIN OPENSSH" in text else load_pem_private_key
    try:
        public = load(text.encode(), None).public_key()
    except (ValueError, TypeError):
        fix = "Use an SSH key without a passphrase, as ssh-keygen writes it."
        problem = Problem("berth:nodes[*].ssh.keyFile", f"{path} holds no private key that can be read.", fix)
        raise SettingsError(pulumi.get_stack(), [problem]) from None
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
