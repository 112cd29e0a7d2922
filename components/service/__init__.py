"""A service on a node: one container with host networking, its image pinned by digest."""

from components.service.container import ServiceContainer, service_container

__all__ = ["ServiceContainer", "service_container"]
