"""What each node's engines know of the registry: a login that may read, and the way to the caches."""

from components.registry_client.args import RegistryClientsArgs
from components.registry_client.component import MirrorIdentity, RegistryClients

__all__ = ["MirrorIdentity", "RegistryClients", "RegistryClientsArgs"]
