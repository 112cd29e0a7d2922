"""What a node's system is installed with, worked out once and written in the words of whichever system it is."""

from components.node_config.cloud_config import cloud_config
from components.node_config.cloud_init import meta_data, network_config, user_data
from components.node_config.ignition import ignition
from components.node_config.machine import Machine, Secrets, machines
from components.node_config.pieces import notes

__all__ = [
    "Machine",
    "Secrets",
    "cloud_config",
    "ignition",
    "machines",
    "meta_data",
    "network_config",
    "notes",
    "user_data",
]
