"""A service on a node: one container with host networking, its image pinned by digest."""

from components.service.container import ServiceContainer, service_container
from components.service.facts import SERVICE_SCRIPT, Port, service_facts

__all__ = ["SERVICE_SCRIPT", "Port", "ServiceContainer", "service_container", "service_facts"]
