"""A service on a node: one container with host networking, its image pinned by digest."""

from components.service.confinement import REPLACING, Confinement, bound_processes, go_environment, own_health
from components.service.container import ServiceContainer
from components.service.facts import SERVICE_SCRIPT, Port, service_facts
from components.service.stage import service

__all__ = [
    "REPLACING",
    "SERVICE_SCRIPT",
    "Confinement",
    "Port",
    "ServiceContainer",
    "bound_processes",
    "go_environment",
    "own_health",
    "service",
    "service_facts",
]
