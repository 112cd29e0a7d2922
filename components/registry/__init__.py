"""The registry: stateless distribution replicas that share one bucket."""

from components.registry.args import RegistryArgs
from components.registry.component import Registry

__all__ = ["Registry", "RegistryArgs"]
