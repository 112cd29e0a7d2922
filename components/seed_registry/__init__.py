"""The registry that exists before the registry: serves Berth's own images to the nodes, read-only."""

from components.seed_registry.component import SeedRegistry, SeedRegistryArgs

__all__ = ["SeedRegistry", "SeedRegistryArgs"]
