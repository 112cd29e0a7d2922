"""Rules about the list of nodes: names, addresses, roles, SSH endpoints."""

from __future__ import annotations

from collections.abc import Iterator

from config.model.nodes import LiveSettings, NodeSettings, SshSettings
from config.model.stack import StackSettings
from config.problems import Problem, path, shown
from config.rules.common import Rule, duplicates, having


def unique_names_and_addresses(settings: StackSettings) -> Iterator[Problem]:
    """A name identifies a node's data; two nodes with one address would be configured over each other."""
    for key in ("name", "address"):
        values = [getattr(node, key) for node in settings.nodes]
        for index, first in duplicates(values):
            wrong, fix = f"is also the {key} of {path('nodes', first)}.", f"Give each node its own {key}."
            yield Problem(path("nodes", index, key), wrong, fix, shown(values[index]))


def unique_ssh_endpoints(settings: StackSettings) -> Iterator[Problem]:
    """With port forwarding several nodes have the same SSH host, but not the same port."""
    first: dict[tuple[str, int], NodeSettings] = {}
    for index, node in enumerate(settings.nodes):
        for endpoint, at in _ssh_endpoints(index, node):
            other = first.setdefault((endpoint.host, endpoint.port), node)
            # Two nodes with one address are a problem of another rule.
            if other.address != node.address:
                wrong = f"leads to the same machine as the ssh settings of {other.name}."
                fix = "Forward a different port to each node; a machine is in the list once."
                yield Problem(f"{at}.port", wrong, fix, str(endpoint.port))


def unique_host_keys(settings: StackSettings) -> Iterator[Problem]:
    """One host key on two nodes: the same machine twice, or an image that contains a host key."""
    first: dict[str, str] = {}
    for index, node in enumerate(settings.nodes):
        for endpoint, at in _ssh_endpoints(index, node):
            key = " ".join((endpoint.host_key or "").split()[:2])
            if key and first.setdefault(key, node.name) != node.name:
                fix = "A machine is in the list once. If these are two, generate a new host key on each."
                yield Problem(f"{at}.hostKey", f"is also the host key of {first[key]}.", fix)


def _ssh_endpoints(index: int, node: NodeSettings) -> Iterator[tuple[SshSettings | LiveSettings, str]]:
    """The SSH endpoints of the machine and of the live system it is installed from, each with its path."""
    yield node.ssh, path("nodes", index, "ssh")
    if node.install is not None:
        yield node.install.live, path("nodes", index, "install", "live")


def unique_roles(settings: StackSettings) -> Iterator[Problem]:
    """A role that is there twice was probably meant to be another one."""
    for index, node in enumerate(settings.nodes):
        for place, _ in duplicates(node.roles):
            at = path("nodes", index, "roles", place)
            yield Problem(at, "is in this list already.", "Remove it.", shown(node.roles[place]))


def enough_drives(settings: StackSettings) -> Iterator[Problem]:
    """MinIO's erasure coding needs four drives to tolerate the loss of a node."""
    found = having(settings, "object-store")
    if len(found) < 4:
        fix = "Give the role object-store to at least four nodes."
        yield Problem(path("nodes"), f"has {len(found)} with the role object-store; MinIO needs four.", fix)


def has_registry(settings: StackSettings) -> Iterator[Problem]:
    """The registry needs at least one replica."""
    if not having(settings, "registry"):
        fix = "Give the role registry to at least one node; two tolerate the loss of one."
        yield Problem(path("nodes"), "has none with the role registry.", fix)


def has_load_balancer(settings: StackSettings) -> Iterator[Problem]:
    """The registry's name resolves to the load balancer's address."""
    if not having(settings, "load-balancer"):
        fix = "Give it to one node, or to two: they tolerate the loss of one."
        yield Problem(path("nodes"), "has none with the role load-balancer.", fix)


RULES: tuple[Rule, ...] = (
    unique_names_and_addresses,
    unique_ssh_endpoints,
    unique_host_keys,
    unique_roles,
    enough_drives,
    has_registry,
    has_load_balancer,
)
