"""The nodes stage: one list, whatever the machines are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi

from components.nodes.args import NodesArgs
from components.nodes.bare_metal import BareMetal
from components.nodes.lab import Lab
from components.nodes.node import Node
from components.nodes.preprovisioned import Preprovisioned
from components.nodes.provider import Provider, Stage
from components.nodes.virtualbox import VirtualBox
from config import naming
from config.model.nodes import Role


def _lab(stage: Stage) -> Provider:
    lab = stage.settings.lab
    if lab is None:
        raise ValueError("lab nodes outside of a lab: a rule of the settings refuses that")
    return Lab(stage, lab)


def _virtualbox(stage: Stage) -> Provider:
    machines = stage.settings.virtualbox
    return Preprovisioned() if machines is None else VirtualBox(stage, machines)


PROVIDERS: dict[str, Callable[[Stage], Provider]] = {
    "lab": _lab,
    "virtualbox": _virtualbox,
    "bare-metal": BareMetal,
}
"""By the settings' word for it."""


class Nodes(pulumi.ComponentResource):
    """All nodes of the stack, in the order of the settings."""

    all: tuple[Node, ...]
    lab: Lab | None
    private_key: pulumi.Output[str] | None
    """Of the nodes that Berth makes; the deploy host keeps it in a file."""

    def __init__(self, name: str, args: NodesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:nodes:Nodes", name, None, opts)
        settings = args.settings
        stage = Stage(name, settings, args.images, parent=self)
        wanted = dict.fromkeys(node.provider for node in settings.nodes)
        providers = {word: PROVIDERS[word](stage) for word in wanted}
        self.lab = next((provider for provider in providers.values() if isinstance(provider, Lab)), None)
        self.private_key = next((provider.private_key for provider in providers.values() if provider.private_key), None)
        self.all = tuple(providers[node.provider].node(node) for node in settings.nodes)
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
