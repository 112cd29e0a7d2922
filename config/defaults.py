"""Defaults that follow from other settings: networks and their addresses, providers, SSH, caches."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TypeVar

from config import naming
from config.model.base import Model
from config.model.nodes import InstallSettings, LabSettings, NodeSettings, VirtualBoxSettings
from config.model.registry import RegistrySettings
from config.model.stack import StackSettings

_M = TypeVar("_M", bound=Model)


def with_defaults(settings: StackSettings) -> StackSettings:
    """Settings whose fields are valid, completed by what the file leaves open."""
    first = settings.nodes[0].address if settings.nodes else None
    lab = settings.lab and _lab(settings.lab, first)
    virtualbox = settings.virtualbox if lab else settings.virtualbox and _virtualbox(settings.virtualbox, first)
    network = _network(lab or virtualbox)
    images = settings.images
    if network is not None:
        seed = _filled(images.seed, address=naming.seed_address(network))
        images = images.model_copy(update={"seed": seed})
    provider = "lab" if lab else "virtualbox" if virtualbox else "bare-metal"
    return settings.model_copy(
        update={
            "lab": lab,
            "virtualbox": virtualbox,
            "images": images,
            "registry": _registry(settings.registry),
            "nodes": tuple(_node(index, node, provider) for index, node in enumerate(settings.nodes)),
        }
    )


def _filled(model: _M, **defaults: object) -> _M:
    """The model with these values in fields that the file does not set."""
    missing = {name: value for name, value in defaults.items() if name not in model.model_fields_set}
    return model.model_copy(update=missing)


def _around(address: str | None) -> str:
    return str(IPv4Network(f"{address}/24", strict=False)) if address else ""


def _network(made: LabSettings | VirtualBoxSettings | None) -> IPv4Network | None:
    """The network that Berth makes, if it has room for the deploy host's addresses; a rule refuses smaller ones."""
    network = IPv4Network(made.subnet) if made and made.subnet else None
    return network if network and network.prefixlen <= 29 else None


def _lab(lab: LabSettings, first: str | None) -> LabSettings:
    lab = _filled(lab, subnet=_around(first))
    network = _network(lab)
    return _filled(lab, gateway=naming.lab_gateway(network)) if network else lab


def _virtualbox(virtualbox: VirtualBoxSettings, first: str | None) -> VirtualBoxSettings:
    return _filled(virtualbox, subnet=_around(first))


def _registry(registry: RegistrySettings) -> RegistrySettings:
    reader = next((user.name for user in registry.users if user.role == "pull"), "")
    upstreams = tuple(
        _filled(upstream, port=naming.CACHE_FIRST_PORT + index, mirror=upstream.url == naming.DOCKER_HUB)
        for index, upstream in enumerate(registry.upstreams)
    )
    return _filled(registry, node_user=reader).model_copy(update={"upstreams": upstreams})


def _node(index: int, node: NodeSettings, provider: str) -> NodeSettings:
    node = _filled(node, provider=provider)
    ssh = node.ssh
    if provider == node.provider == "virtualbox":
        ssh = _filled(ssh, host=naming.FORWARDED_HOST, port=naming.FORWARDED_SSH + index, user="core")
    ssh = _filled(ssh, host=node.address, **({"user": "core"} if node.install else {}))
    install = node.install and _install(node.install, ssh.host)
    return node.model_copy(update={"ssh": ssh, "install": install})


def _install(install: InstallSettings, host: str) -> InstallSettings:
    return install.model_copy(update={"live": _filled(install.live, host=host)})
