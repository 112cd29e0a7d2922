"""The order in which the nodes' daemons change; pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from config.model.docker import DockerRolloutSettings
from config.model.nodes import NodeSettings, Role

ALONE: frozenset[Role] = frozenset(
    {
        *("registry", "object-store", "load-balancer"),
        *("swarm-manager", "swarm-worker", "etcd"),
        *("control", "network"),
    }
)
"""Roles of which the stack can lose one node at a time: a quorum or the other half of a pair depends on the rest."""


def waves(nodes: Sequence[NodeSettings], rollout: DockerRolloutSettings) -> list[list[str]]:
    """Names of nodes whose daemons change together, wave after wave; a failed wave stops those that follow.

    A node that nobody depends on is the canary, then nodes with a role in `ALONE` change one at a time, then the others
    in batches. Each group keeps the order of the settings.
    """
    alone = [node.name for node in nodes if ALONE.intersection(node.roles)]
    others = [node.name for node in nodes if not ALONE.intersection(node.roles)]
    canary, rest = others[:1], others[1:]
    batches = [rest[start : start + rollout.batch_size] for start in range(0, len(rest), rollout.batch_size)]
    return [*([canary] if canary else []), *([name] for name in alone), *batches]
