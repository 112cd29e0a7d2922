"""What the cache stage takes."""

from __future__ import annotations

from components.registry.args import RegistryArgs


class CachesArgs(RegistryArgs):
    """Inputs of `Caches`: those of the replicas, whose kind of process they are."""
