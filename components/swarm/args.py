"""What the two parts of the Swarm stage take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.nodes import Nodes
from config.model.stack import Settings

if TYPE_CHECKING:
    # The daemons wait for the roll call, and the swarm for the daemons.
    from components.docker_daemon import DockerDaemons
    from components.swarm.component import RollCall


@dataclass(frozen=True)
class RollCallArgs:
    """Inputs of `RollCall`."""

    settings: Settings
    nodes: Nodes


@dataclass(frozen=True)
class SwarmArgs:
    """Inputs of `Swarm`."""

    settings: Settings
    nodes: Nodes
    daemons: DockerDaemons
    roll_call: RollCall
