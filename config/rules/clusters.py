"""Rules about etcd and Swarm: quorums, Docker settings that exclude Swarm, networks, directories."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import PurePosixPath

from config.model.nodes import Role
from config.model.stack import StackSettings
from config.problems import Problem, closest, path, shown
from config.rules.common import Rule, having
from config.rules.machines import lab_network


def odd_quorums(settings: StackSettings) -> Iterator[Problem]:
    """An even number of voters tolerates no more failures than one fewer, and can split in halves."""
    roles: tuple[tuple[Role, str], ...] = (("swarm-manager", "managers"), ("etcd", "etcd members"))
    for role, members in roles:
        found = having(settings, role)
        if found and len(found) % 2 == 0:
            wrong = f"has {len(found)} with the role {role}; an even number of {members} tolerates no more failures "
            wrong += f"than {len(found) - 1} and can split in halves."
            yield Problem(path("nodes"), wrong, f"Use {len(found) - 1} or {len(found) + 1}.")


def managers_for_workers(settings: StackSettings) -> Iterator[Problem]:
    """Workers join a swarm through a manager."""
    managers, workers = having(settings, "swarm-manager"), having(settings, "swarm-worker")
    if workers and not managers:
        yield Problem(
            path("nodes"), "has swarm-worker nodes but no swarm-manager.", "Give one or three nodes that role."
        )
    for index, node in managers:
        if "swarm-worker" in node.roles:
            wrong = "has swarm-manager and swarm-worker; a manager runs services too."
            yield Problem(path("nodes", index, "roles"), wrong, "Remove swarm-worker.")


def etcd_beside_kolla(settings: StackSettings) -> Iterator[Problem]:
    """Kolla runs its own etcd on the same ports."""
    for index, _ in having(settings, "etcd") if settings.kolla.enabled else ():
        wrong = "has the role etcd, but Kolla runs its own etcd on the same ports."
        yield Problem(path("nodes", index, "roles"), wrong, "Remove etcd from the roles, or disable Kolla.")


def separate_directories(settings: StackSettings) -> Iterator[Problem]:
    """etcd's directory is moved away when a snapshot is restored: nothing else may be in it."""
    own, other = PurePosixPath(settings.etcd.data_dir), PurePosixPath(settings.object_store.data_dir)
    overlap = own.is_relative_to(other) or other.is_relative_to(own)
    if overlap and having(settings, "etcd") and having(settings, "object-store"):
        wrong = f"is not separate from {path('objectStore', 'dataDir')}."
        yield Problem(path("etcd", "dataDir"), wrong, "Use a separate directory.", shown(str(own)))


def swarm_needs(settings: StackSettings) -> Iterator[Problem]:
    """Swarm cannot work with live-restore, and its networks need the daemon's packet filter rules."""
    docker = settings.docker
    if not any(node.in_swarm for node in settings.nodes):
        return
    if docker.live_restore:
        wrong = "is true, which dockerd refuses together with Swarm."
        fix = "Leave it out (it is then true except on Swarm's nodes), or remove their roles."
        yield Problem(path("docker", "liveRestore"), wrong, fix, "true")
    if docker.extra.get("iptables") is False:
        wrong = "is false, but Swarm's networks need Docker's packet filter rules."
        fix = "Remove it, or remove the roles swarm-manager and swarm-worker."
        yield Problem(path("docker", "extra", "iptables"), wrong, fix)


def swarm_networks(settings: StackSettings) -> Iterator[Problem]:
    """Overlay networks are parts of the pool without overlaps, and the pool does not overlap the machines' networks."""
    pool = IPv4Network(settings.swarm.address_pool)
    at = path("swarm", "addressPool")
    if pool.prefixlen > 23:
        fix = "Use one with a prefix of at most 23 bits, such as 10.20.0.0/16."
        yield Problem(at, "is too small for Swarm's own network and another one, /24 each.", fix, shown(str(pool)))
    if having(settings, "swarm-manager"):
        yield from _pool_overlaps(settings, pool)
    seen: list[tuple[IPv4Network, str]] = []
    names: dict[str, str] = {"ingress": "Swarm's own network"}
    for index, network in enumerate(settings.swarm.networks):
        here = path("swarm", "networks", index)
        other_name = names.setdefault(network.name, here)
        if other_name != here:
            wrong = f"is also the name of {other_name}."
            yield Problem(f"{here}.name", wrong, "Give each network its own name.", shown(network.name))
        subnet = IPv4Network(network.subnet)
        if not subnet.subnet_of(pool):
            fix = f"Use a part of the pool, such as {_second_subnet(pool)}, or change {at}."
            yield Problem(f"{here}.subnet", f"is not in {at} ({pool}).", fix, shown(network.subnet))
        other = next((place for known, place in seen if known.overlaps(subnet)), None)
        if other is None and subnet.overlaps(next(pool.subnets(new_prefix=24), pool) if pool.prefixlen < 24 else pool):
            other = "Swarm's own network, the first of the pool"
        if other is not None and subnet.subnet_of(pool):
            yield Problem(f"{here}.subnet", f"overlaps with {other}.", "Use another part.", shown(network.subnet))
        seen.append((subnet, f"{here}.subnet"))


def _pool_overlaps(settings: StackSettings, pool: IPv4Network) -> Iterator[Problem]:
    lab = lab_network(settings)
    machines = [(node.address, node.name) for node in settings.nodes]
    machines.append((settings.load_balancer.address, path("loadBalancer", "address")))
    other = next((owner for address, owner in machines if IPv4Address(address) in pool), None)
    if other is None and lab is not None and lab.overlaps(pool):
        other = "the lab's subnet"
    if other is not None:
        fix = "Use private addresses that no machine has, such as 10.20.0.0/16 or 172.30.0.0/16."
        yield Problem(path("swarm", "addressPool"), f"overlaps with the addresses of {other}.", fix, shown(str(pool)))


def _second_subnet(pool: IPv4Network) -> str:
    return str(IPv4Network((int(pool.network_address) + 256, 24)))


def labelled_nodes(settings: StackSettings) -> Iterator[Problem]:
    """A label of an unknown node would silently have no effect."""
    known = [node.name for node in settings.nodes if node.in_swarm]
    for name in settings.swarm.labels:
        if name not in known:
            fix = "Correct the name, or give the node the role swarm-manager or swarm-worker."
            yield Problem(path("swarm", "labels", name), "is not a node of the swarm.", fix, None, closest(name, known))


RULES: tuple[Rule, ...] = (
    odd_quorums,
    managers_for_workers,
    etcd_beside_kolla,
    separate_directories,
    swarm_needs,
    swarm_networks,
    labelled_nodes,
)
