"""Rules about the list of nodes: names, addresses and roles. Anything unreadable is None and not judged again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from config.model.nodes import LiveSettings, NodeSettings, Role, SshSettings
from config.model.stack import StackSettings
from config.problems import Problem, path, shown

Rule = Callable[[StackSettings], Iterable[Problem]]


def nodes_of(settings: StackSettings) -> list[tuple[int, NodeSettings]]:
    """The nodes that can be read at least in part, each with its place in the list."""
    return [(index, node) for index, node in enumerate(settings.nodes or ()) if node is not None]


def in_lab(settings: StackSettings) -> bool:
    """Whether the stack is meant to be a lab, even if the lab's settings cannot be read."""
    return "lab" in settings.model_fields_set


def having(settings: StackSettings, role: Role) -> list[tuple[int, NodeSettings]] | None:
    """The nodes with a role; None if a node's roles cannot be read, so that nobody knows how many there are."""
    if settings.nodes is None or any(node is None or node.roles is None for node in settings.nodes):
        return None
    return [(index, node) for index, node in nodes_of(settings) if role in node.roles]


def unique_names(settings: StackSettings) -> Iterator[Problem]:
    """A name is the identity of a node's data, host entry and container."""
    yield from _twice(settings, "name", "Give each node a name of its own.")


def unique_addresses(settings: StackSettings) -> Iterator[Problem]:
    """Two nodes with one address would be configured over each other."""
    yield from _twice(settings, "address", "Give each node an address of its own.")


def unique_ssh_endpoints(settings: StackSettings) -> Iterator[Problem]:
    """Behind port forwarding one host stands for many nodes, but one port for only one of them."""
    first: dict[tuple[str, int], tuple[int, NodeSettings]] = {}
    for index, node in nodes_of(settings):
        for door, at in _doors(index, node):
            if not door.host or door.port is None:
                continue
            where, other = first.setdefault((door.host, door.port), (index, node))
            # One address twice is said of the address.
            if where != index and (other.address is None or other.address != node.address):
                wrong = f"leads to the same place as the ssh settings of {_called(where, other)}."
                fix = "Forward a port of its own to each node; a machine stands in the list once."
                yield Problem(f"{at}.port", wrong, fix, str(door.port))


def unique_host_keys(settings: StackSettings) -> Iterator[Problem]:
    """A machine in the list twice, or one image with a host key in it on all machines."""
    first: dict[str, str] = {}
    for index, node in nodes_of(settings):
        for door, at in _doors(index, node):
            key = " ".join((door.host_key or "").split()[:2])
            if key and first.setdefault(key, _called(index, node)) != _called(index, node):
                fix = "A machine stands in the list once. If these are two, make a key of its own on each."
                yield Problem(f"{at}.hostKey", f"is also the host key of {first[key]}.", fix)


def _doors(index: int, node: NodeSettings) -> Iterator[tuple[SshSettings | LiveSettings, str]]:
    """Where the machine is reached, and where its live system was; with their places."""
    if node.ssh is not None:
        yield node.ssh, path("nodes", index, "ssh")
    if node.install is not None and node.install.live is not None:
        yield node.install.live, path("nodes", index, "install", "live")


def unique_roles(settings: StackSettings) -> Iterator[Problem]:
    """A role twice is most likely another role misspelt by copying."""
    for index, node in nodes_of(settings):
        for place, role in enumerate(node.roles or ()):
            if role in node.roles[:place]:
                wrong = "is in this list already."
                yield Problem(path("nodes", index, "roles", place), wrong, "Remove it.", shown(role))


def enough_drives(settings: StackSettings) -> Iterator[Problem]:
    """MinIO's erasure code survives the loss of a node from four drives on."""
    found = having(settings, "object-store")
    if found is not None and len(found) < 4:
        fix = "Give the role object-store to at least four nodes."
        yield Problem(path("nodes"), f"has {len(found)} with the role object-store; MinIO needs four.", fix)


def a_registry(settings: StackSettings) -> Iterator[Problem]:
    """Without a replica there is nothing to push to."""
    found = having(settings, "registry")
    if found == []:
        fix = "Give the role registry to at least one node; two survive the loss of one."
        yield Problem(path("nodes"), "has none with the role registry.", fix)


def a_load_balancer(settings: StackSettings) -> Iterator[Problem]:
    """Without one the registry's name leads nowhere."""
    if having(settings, "load-balancer") == []:
        fix = "Give it to one node, or to two: they survive the loss of one."
        yield Problem(path("nodes"), "has none with the role load-balancer.", fix)


def _twice(settings: StackSettings, key: str, fix: str) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, node in nodes_of(settings):
        value = getattr(node, key)
        if value is None:
            continue
        if value in first:
            wrong = f"is also the {key} of {path('nodes', first[value])}."
            yield Problem(path("nodes", index, key), wrong, fix, shown(value))
        else:
            first[value] = index


def _called(index: int, node: NodeSettings) -> str:
    return node.name or path("nodes", index)


RULES: tuple[Rule, ...] = (
    unique_names,
    unique_addresses,
    unique_ssh_endpoints,
    unique_host_keys,
    unique_roles,
    enough_drives,
    a_registry,
    a_load_balancer,
)
