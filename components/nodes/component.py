"""The nodes stage: one list, whatever the machines are made of."""

from __future__ import annotations

from typing import Any

import pulumi

from components.nodes.args import NodesArgs
from components.nodes.existing import existing_node
from components.nodes.lab import Lab
from components.nodes.node import Node
from config import Role, naming


class Nodes(pulumi.ComponentResource):
    """All nodes of the stack, in the order of the settings."""

    all: tuple[Node, ...]
    lab: Lab | None

    def __init__(self, name: str, args: NodesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:nodes:Nodes", name, None, opts)
        settings = args.settings
        self.lab = (
            Lab(name, settings, settings.lab, args.images.on_deploy_host("lab-node"), parent=self)
            if settings.lab
            else None
        )
        self.all = tuple(
            self.lab.node(node) if self.lab and node.provider == "lab" else existing_node(node)
            for node in settings.nodes
        )
        self.register_outputs({"addresses": {node.name: node.address for node in self.all}})

    def with_role(self, role: Role) -> tuple[Node, ...]:
        """The nodes that carry `role`, in the order of the settings."""
        return tuple(node for node in self.all if role in node.settings.roles)

    def caching(self) -> tuple[Node, ...]:
        """The nodes that run the upstreams' caches."""
        return self.with_role("registry")[: naming.CACHES_PER_UPSTREAM]

    def summary(self) -> list[dict[str, Any]]:
        """Name, address and roles of every node, for the stack's outputs."""
        return [{"name": node.name, "address": node.address, "roles": list(node.settings.roles)} for node in self.all]

    def access(self) -> list[dict[str, Any]]:
        """How to get into every node; no secret, for the key is named by its file."""
        return [
            {
                "name": node.name,
                "host": node.access.host,
                "port": node.access.port,
                "user": node.access.user,
                "host_key": node.access.host_key,
                "key_file": node.key_file,
            }
            for node in self.all
        ]
