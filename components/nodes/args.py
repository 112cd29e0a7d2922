"""What the nodes stage takes."""

from __future__ import annotations

from dataclasses import dataclass

from components.lib.image_references import Images
from config.model.stack import Settings


@dataclass(frozen=True)
class NodesArgs:
    """Inputs of `Nodes`."""

    settings: Settings
    images: Images
