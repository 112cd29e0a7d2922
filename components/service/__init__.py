"""A service on a node: one container with host networking, its image pinned by digest."""

from components.service.container import ServiceContainer
from components.service.facts import SERVICE_SCRIPT, Port, service_facts
from components.service.stage import service

__all__ = ["SERVICE_SCRIPT", "Port", "ServiceContainer", "service", "service_facts"]
