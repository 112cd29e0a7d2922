"""What the two parts of the Swarm stage take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.docker_daemon.component import DockerDaemons
from components.nodes.component import Nodes
from config.model.stack import Settings


@dataclass(frozen=True)
class SwarmPruneArgs:
    """Inputs of `SwarmPrune`."""

    settings: Settings
    nodes: Nodes


@dataclass(frozen=True)
class SwarmArgs:
    """Inputs of `Swarm`."""

    settings: Settings
    nodes: Nodes
    daemons: DockerDaemons
    join_tokens: Mapping[str, pulumi.Output[str]]
    """What each manager printed before Docker was configured, by its address."""
