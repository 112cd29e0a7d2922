"""What the seed registry takes."""

from __future__ import annotations

from dataclasses import dataclass

from components.deploy_host.component import DeployHost
from components.lib.image_references import Images
from components.nodes.component import Nodes
from config.model.stack import Settings


@dataclass(frozen=True)
class SeedRegistryArgs:
    """Inputs of `SeedRegistry`."""

    settings: Settings
    nodes: Nodes
    images: Images
    deploy_host: DeployHost
