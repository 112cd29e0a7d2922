"""The stack's names as lines for /etc/hosts; pure functions."""

from __future__ import annotations

from config.model.stack import Settings


def hosts_of_deploy_host(settings: Settings) -> str | None:
    """The registry's name; nodes are reached by address."""
    if settings.registry.names == "external":
        return None
    return f"{settings.front_address} {settings.registry.name}\n"


def hosts_of_nodes(settings: Settings) -> str | None:
    """The registry's name and the nodes' own."""
    if settings.registry.names == "external":
        return None
    registry = f"{settings.load_balancer.address} {settings.registry.name}\n"
    return registry + "".join(f"{node.address} {node.name}\n" for node in settings.nodes)


def own_hosts(settings: Settings) -> list[str]:
    """Names and addresses that are the stack's own, which no proxy is to be asked for."""
    return [
        settings.registry.name,
        *dict.fromkeys([settings.load_balancer.address, settings.images.seed.address]),
        *(node.address for node in settings.nodes),
        *(node.name for node in settings.nodes),
    ]
