"""What the firewall stage takes."""

from __future__ import annotations

from dataclasses import dataclass

from components.nodes.component import Nodes
from config.model.stack import Settings


@dataclass(frozen=True)
class FirewallArgs:
    """Inputs of `Firewall`."""

    settings: Settings
    nodes: Nodes
