"""Docker Swarm: managers and workers by role, their labels, and the networks between them."""

from components.swarm.args import RollCallArgs, SwarmArgs
from components.swarm.component import RollCall, Swarm

__all__ = ["RollCall", "RollCallArgs", "Swarm", "SwarmArgs"]
