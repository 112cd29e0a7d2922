"""Rules about the list of nodes: names, addresses and roles. Anything unreadable is None and not judged again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from config.problems import Problem, path, shown
from config.settings import NodeSettings, Role, StackFile

Rule = Callable[[StackFile], Iterable[Problem]]


def nodes_of(settings: StackFile) -> list[tuple[int, NodeSettings]]:
    """The nodes that can be read at least in part, each with its place in the list."""
    return [(index, node) for index, node in enumerate(settings.nodes or ()) if node is not None]


def in_lab(settings: StackFile) -> bool:
    """Whether the stack is meant to be a lab, even if the lab's settings cannot be read."""
    return "lab" in settings.model_fields_set


def having(settings: StackFile, role: Role) -> list[tuple[int, NodeSettings]] | None:
    """The nodes with a role; None if a node's roles cannot be read, so that nobody knows how many there are."""
    if settings.nodes is None or any(node is None or node.roles is None for node in settings.nodes):
        return None
    return [(index, node) for index, node in nodes_of(settings) if role in node.roles]


def unique_names(settings: StackFile) -> Iterator[Problem]:
    """A name is the identity of a node's data, host entry and container."""
    yield from _twice(settings, "name", "Give each node a name of its own.")


def unique_addresses(settings: StackFile) -> Iterator[Problem]:
    """Two nodes with one address would be configured over each other."""
    yield from _twice(settings, "address", "Give each node an address of its own.")


def unique_ssh_endpoints(settings: StackFile) -> Iterator[Problem]:
    """Behind port forwarding one host stands for many nodes, but one port for only one of them."""
    first: dict[tuple[str, int], str] = {}
    for index, node in nodes_of(settings):
        ssh = node.ssh
        if ssh is None or not ssh.host or ssh.port is None or ssh.host == node.address:
            continue
        other = first.setdefault((ssh.host, ssh.port), _called(index, node))
        if other != _called(index, node):
            wrong = f"leads to the same place as the ssh settings of {other}."
            fix = "Forward a port of its own to each node."
            yield Problem(path("nodes", index, "ssh", "port"), wrong, fix, str(ssh.port))


def unique_roles(settings: StackFile) -> Iterator[Problem]:
    """A role twice is most likely another role misspelt by copying."""
    for index, node in nodes_of(settings):
        for place, role in enumerate(node.roles or ()):
            if role in node.roles[:place]:
                wrong = "is in this list already."
                yield Problem(path("nodes", index, "roles", place), wrong, "Remove it.", shown(role))


def enough_drives(settings: StackFile) -> Iterator[Problem]:
    """MinIO's erasure code survives the loss of a node from four drives on."""
    found = having(settings, "object-store")
    if found is not None and len(found) < 4:
        fix = "Give the role object-store to at least four nodes."
        yield Problem(path("nodes"), f"has {len(found)} with the role object-store; MinIO needs four.", fix)


def a_registry(settings: StackFile) -> Iterator[Problem]:
    """Without a replica there is nothing to push to."""
    found = having(settings, "registry")
    if found == []:
        fix = "Give the role registry to at least one node; two survive the loss of one."
        yield Problem(path("nodes"), "has none with the role registry.", fix)


def a_load_balancer(settings: StackFile) -> Iterator[Problem]:
    """Without one the registry's name leads nowhere."""
    if having(settings, "load-balancer") == []:
        fix = "Give it to one node, or to two: they survive the loss of one."
        yield Problem(path("nodes"), "has none with the role load-balancer.", fix)


def _twice(settings: StackFile, key: str, fix: str) -> Iterator[Problem]:
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
    unique_roles,
    enough_drives,
    a_registry,
    a_load_balancer,
)
