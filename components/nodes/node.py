"""A node as every later stage sees it, whichever provider it came from."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.lib.host_files.connection import SshEndpoint
from config.model.nodes import NodeSettings


@dataclass(frozen=True)
class Node:
    """A machine with its settings, the way in, and what its resources hang on."""

    settings: NodeSettings
    access: SshEndpoint
    key_file: str
    """Path on the deploy host of the private key, for the ssh program."""
    machine: pulumi.CustomResource | None = None
    """The resource that is the machine itself, when Berth made or installed it: another one, another machine."""
    survives_destroy: bool = False
    """True where the machine is there after its resource is gone: what is on it must be taken away by itself."""
    keeps_hosts_file: bool = True
    """False where something rewrites /etc/hosts at boot (Docker does, in a lab node)."""

    @property
    def name(self) -> str:
        """The node's host name."""
        return self.settings.name

    @property
    def address(self) -> str:
        """The address that the nodes use among themselves."""
        return self.settings.address

    @property
    def deleted_with(self) -> pulumi.CustomResource | None:
        """The resource with which everything on the node goes, if there is one."""
        return None if self.survives_destroy else self.machine

    def options(
        self, parent: pulumi.Resource, *depends_on: pulumi.Resource, delete_before_replace: bool = False
    ) -> pulumi.ResourceOptions:
        """Options for a resource that lives on this node."""
        waits = [*depends_on, *([self.machine] if self.machine else [])]
        return pulumi.ResourceOptions(
            parent=parent,
            depends_on=waits,
            deleted_with=self.deleted_with,
            delete_before_replace=delete_before_replace or None,
        )
