"""Where nodes come from: the one interface of all providers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import pulumi

from components.lib.image_references import Images
from components.nodes.node import Node
from config.model.nodes import NodeSettings
from config.model.stack import Settings


@dataclass(frozen=True)
class Stage:
    """What a provider makes its resources from, and the component that is their parent."""

    name: str
    settings: Settings
    images: Images
    parent: pulumi.Resource

    def setting(self, node: NodeSettings, key: str) -> str:
        """Path of one of a node's settings, as the stack file has it."""
        return f"berth:nodes[{self.settings.nodes.index(node)}].{key}"

    def options(self, *depends_on: pulumi.Resource, protect: bool | None = None) -> pulumi.ResourceOptions:
        """Options for a resource of the stage."""
        return pulumi.ResourceOptions(parent=self.parent, depends_on=depends_on or None, protect=protect)


class Provider(Protocol):
    """Makes nodes, or knows the way into those that are there; one per stack, however many nodes it has."""

    @property
    def private_key(self) -> pulumi.Output[str] | None:
        """The private key that the deploy host keeps for all nodes of the provider; None where the user has one."""

    def node(self, settings: NodeSettings) -> Node:
        """One node, with all that is done before it answers over SSH."""
