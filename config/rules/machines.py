"""Rules about where nodes come from and how they are reached: the lab, SSH keys, networks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network

from config import naming
from config.model.node_os import resolve
from config.model.nodes import MachineSettings, NodeSettings
from config.model.stack import StackSettings
from config.problems import Problem, path, shown
from config.rules.common import Rule, having


def lab_nodes_in_labs(settings: StackSettings) -> Iterator[Problem]:
    """`berth down` removes all nodes of a lab: no other machine may be one of them."""
    for index, node in enumerate(settings.nodes):
        at = path("nodes", index, "provider")
        if node.provider == "lab" and settings.lab is None:
            fix = "Set `berth:lab: true`, or write the provider of this machine: virtualbox or bare-metal."
            yield Problem(at, "is lab, but this stack is not a lab.", fix)
        if node.provider != "lab" and settings.lab is not None:
            fix = "Leave the key out, or move this machine to another stack."
            yield Problem(at, "is not lab: in a lab Berth makes and removes every node.", fix, shown(node.provider))


def made_by_berth(settings: StackSettings, node: NodeSettings) -> bool:
    """Whether the node is a virtual machine that Berth makes."""
    return node.provider == "virtualbox" and settings.virtualbox is not None


def keys_are_generated(settings: StackSettings) -> Iterator[Problem]:
    """Berth generates the keys of the nodes that it makes; others would silently not be used."""
    for index, node in enumerate(settings.nodes):
        if node.install is not None and node.ssh.host_key is not None:
            wrong = "is set, but Berth generates the host key of the system that it installs."
            fix = "Remove it; the live system's key is `install.live.hostKey`."
            yield Problem(path("nodes", index, "ssh", "hostKey"), wrong, fix)
        in_a_lab = node.provider == "lab" and settings.lab is not None
        if not (in_a_lab or made_by_berth(settings, node)):
            continue
        for key, value in (("keyFile", node.ssh.key_file), ("hostKey", node.ssh.host_key)):
            if value is not None:
                machines = "lab nodes" if in_a_lab else "the machines that it makes"
                wrong = f"is set, but Berth generates the keys of {machines}."
                yield Problem(path("nodes", index, "ssh", key), wrong, "Remove it.")


def real_machines_have_keys(settings: StackSettings) -> Iterator[Problem]:
    """Nothing is sent to a machine whose host key is not pinned."""
    fixes = {
        "keyFile": "Write the path of the private key that may log in, such as ~/.ssh/berth.",
        "hostKey": "Write what /etc/ssh/ssh_host_ed25519_key.pub on the node holds: `ssh-ed25519 AAAA...`.",
    }
    for index, node in enumerate(settings.nodes):
        if node.provider == "lab" or settings.lab is not None or made_by_berth(settings, node):
            continue
        for key, value in (("keyFile", node.ssh.key_file), ("hostKey", node.ssh.host_key)):
            if value is None and not (key == "hostKey" and node.install is not None):
                wrong = "is missing for a machine that Berth does not make."
                yield Problem(path("nodes", index, "ssh", key), wrong, fixes[key])


def machines_are_made(settings: StackSettings) -> Iterator[Problem]:
    """Settings of virtual machines have an effect only where Berth makes them."""
    if settings.virtualbox is not None and settings.lab is not None:
        fix = "Remove one of the two: a lab's nodes are containers."
        yield Problem(path("virtualbox"), "is set together with `berth:lab`.", fix)
    for index, node in enumerate(settings.nodes):
        if node.install is not None and node.provider != "bare-metal":
            fix = "Remove it, or write `provider: bare-metal`."
            yield Problem(path("nodes", index, "install"), f"is set, but the provider is {node.provider}.", fix)
        if node.virtualbox != MachineSettings() and not made_by_berth(settings, node):
            wrong = "is set for a machine that Berth does not make."
            fix = "Remove it, or set `berth:virtualbox` and the provider virtualbox to have it made."
            yield Problem(path("nodes", index, "virtualbox"), wrong, fix)


def systems_that_are_installed(settings: StackSettings) -> Iterator[Problem]:
    """The installers are those of CoreOS and Flatcar."""
    for index, node in enumerate(settings.nodes):
        if not (made_by_berth(settings, node) or node.install is not None):
            continue
        config = resolve(settings.node_defaults, node.config)
        system = config.operating_system if config is not None else None
        fix = "Write coreos or flatcar: what the live system installs."
        if config is None:
            yield Problem(path("nodes", index, "config", "operatingSystem"), "is missing.", fix)
        elif system not in (None, "coreos", "flatcar"):
            wrong = "cannot be installed by Berth."
            yield Problem(path("nodes", index, "config", "operatingSystem"), wrong, fix, shown(system))


def virtual_network(settings: StackSettings) -> Iterator[Problem]:
    """The first two addresses of a NAT network are VirtualBox's gateway and the deploy host."""
    network = _virtual_network(settings)
    if network is None:
        return
    if not _usable(network):
        fix = "Use a private network with a prefix from /16 to /29, such as 10.78.0.0/24."
        at = path("virtualbox", "subnet")
        yield Problem(at, "is not a private network of a usable size.", fix, shown(str(network)))
        return
    taken = {str(network.network_address + 1): "the gateway's (VirtualBox itself)"}
    taken[naming.seed_address(network)] = "the deploy host's"
    nodes = [(index, node) for index, node in enumerate(settings.nodes) if made_by_berth(settings, node)]
    fix = "Give all virtual machines addresses of one network, or set `berth:virtualbox.subnet`."
    yield from _addresses_in(network, "the NAT network", nodes, taken, fix)


def _addresses_in(
    network: IPv4Network,
    name: str,
    nodes: Iterable[tuple[int, NodeSettings]],
    taken: dict[str, str],
    fix: str,
) -> Iterator[Problem]:
    """Each node's address is a free one of a network that Berth makes."""
    taken = taken | {str(network.network_address): "the network's own"}
    taken[str(network.broadcast_address)] = "the broadcast address"
    for index, node in nodes:
        at = path("nodes", index, "address")
        if IPv4Address(node.address) not in network:
            yield Problem(at, f"is outside of {name} {network}.", fix, shown(node.address))
        elif node.address in taken:
            wrong = f"is {taken[node.address]} in {name}."
            yield Problem(at, wrong, "Use an address from the fourth one on.", shown(node.address))


def forwarded_ports(settings: StackSettings) -> Iterator[Problem]:
    """Each port of the deploy host is forwarded to one service."""
    taken = {
        settings.registry.port: "registry.port",
        settings.registry.mirror_port: "registry.mirrorPort",
        settings.object_store.endpoint_port: "objectStore.endpointPort",
        settings.images.seed.port: "images.seed.port",
    }
    for index, node in enumerate(settings.nodes):
        if not made_by_berth(settings, node):
            continue
        if node.ssh.host != naming.FORWARDED_HOST:
            wrong = "is not the host on which Berth forwards this machine's port."
            at = path("nodes", index, "ssh", "host")
            yield Problem(at, wrong, f"Leave the key out: it is {naming.FORWARDED_HOST}.", shown(node.ssh.host))
        if node.ssh.port in taken:
            wrong = f"is berth:{taken[node.ssh.port]}, which is forwarded too."
            fix = "Forward another port to this machine, such as 2011 to the first one."
            yield Problem(path("nodes", index, "ssh", "port"), wrong, fix, str(node.ssh.port))


def lab_addresses(settings: StackSettings) -> Iterator[Problem]:
    """Lab nodes share one bridge network with the deploy host and the seed registry."""
    network = lab_network(settings)
    if network is None or settings.lab is None:
        return
    if not _usable(network):
        fix = "Use a private network with a prefix from /16 to /29, such as 10.77.0.0/24."
        yield Problem(path("lab", "subnet"), "is not a private network of a usable size.", fix, shown(str(network)))
        return
    taken = {settings.lab.gateway: "the gateway's (the deploy host)"}
    taken[settings.images.seed.address] = "the seed registry's"
    if settings.lab.upstream:
        taken[naming.lab_upstream_address(network)] = "the stand-in upstream's"
    fix = "Give all lab nodes addresses of one network, or set `berth:lab` to an object with `subnet`."
    yield from _addresses_in(network, "the lab's network", enumerate(settings.nodes), taken, fix)


def lab_infrastructure(settings: StackSettings) -> Iterator[Problem]:
    """Gateway and seed registry have different addresses of the lab's network."""
    network = lab_network(settings)
    if network is None or settings.lab is None:
        return
    gateway = settings.lab.gateway
    if gateway and IPv4Address(gateway) not in network:
        fix = "Use an address of the subnet, or leave it out for the first one."
        yield Problem(path("lab", "gateway"), f"is outside of {network}.", fix, shown(gateway))
    upstream = naming.lab_upstream_address(network) if settings.lab.upstream else None
    if gateway and gateway == upstream:
        fix = "Use another address of the subnet, or leave it out for the first one."
        yield Problem(path("lab", "gateway"), "is the stand-in upstream's.", fix, shown(gateway))
    seed = settings.images.seed.address
    if not seed:
        return
    fix = "Use another address of the subnet, or leave it out for the second one."
    if IPv4Address(seed) not in network:
        yield Problem(path("images", "seed", "address"), f"is outside of {network}.", fix, shown(seed))
    elif seed in (gateway, upstream):
        owner = "the gateway's" if seed == gateway else "the stand-in upstream's"
        yield Problem(path("images", "seed", "address"), f"is {owner}.", fix, shown(seed))


def balancer_address(settings: StackSettings) -> Iterator[Problem]:
    """The registry's address is in the network of every load balancer: its own, or one that moves between them."""
    balancer = settings.load_balancer
    nodes = [node for _, node in having(settings, "load-balancer")]
    at, value = path("loadBalancer", "address"), shown(balancer.address)
    around = IPv4Network(f"{balancer.address}/{balancer.prefix_length}", strict=False)
    for node in nodes:
        if IPv4Address(node.address) not in around:
            wrong = f"is on another network than {node.name} ({node.address}), "
            fix = "Use an address of the load-balancer nodes' network, or correct prefixLength."
            yield Problem(at, f"{wrong}the prefix being /{balancer.prefix_length}.", fix, value)
            return
    if len(nodes) > 1:
        yield from _virtual_address(settings, balancer.address, around, len(nodes))
    elif nodes and balancer.address != nodes[0].address:
        (only,) = nodes
        wrong = f"is not the address of {only.name} ({only.address}), the one node with the role load-balancer."
        yield Problem(at, wrong, f"Write {only.address}.", value)


def _virtual_address(settings: StackSettings, address: str, around: IPv4Network, balancers: int) -> Iterator[Problem]:
    """The address that moves between nodes must not be in use."""
    taken = {node.address: f"{node.name}'s" for node in settings.nodes}
    taken[settings.images.seed.address] = "the seed registry's"
    network = lab_network(settings)
    virtual = _virtual_network(settings)
    if virtual is not None:
        taken[str(virtual.network_address + 1)] = "the gateway's (VirtualBox itself)"
    if network is not None and settings.lab is not None:
        taken[settings.lab.gateway] = "the gateway's (the deploy host)"
        if settings.lab.upstream:
            taken[naming.lab_upstream_address(network)] = "the stand-in upstream's"
    taken[str(around.network_address)] = "the network's own"
    taken[str(around.broadcast_address)] = "the broadcast address"
    wrong = None
    if address in taken:
        wrong = f"is {taken[address]}; with {balancers} load-balancer nodes it must be one that moves between them."
    elif network is not None and _usable(network) and IPv4Address(address) not in network:
        wrong = f"is outside of the lab's network {network}."
    if wrong:
        fix = "Use an address of the load-balancer nodes' network that no machine has."
        yield Problem(path("loadBalancer", "address"), wrong, fix, shown(address))


def _usable(network: IPv4Network) -> bool:
    return network.is_private and not (network.is_loopback or network.is_link_local) and 16 <= network.prefixlen <= 29


def lab_network(settings: StackSettings) -> IPv4Network | None:
    """The lab's network; None without a lab, and in one whose file names neither nodes nor a subnet."""
    return IPv4Network(settings.lab.subnet) if settings.lab and settings.lab.subnet else None


def _virtual_network(settings: StackSettings) -> IPv4Network | None:
    return IPv4Network(settings.virtualbox.subnet) if settings.virtualbox and settings.virtualbox.subnet else None


RULES: tuple[Rule, ...] = (
    lab_nodes_in_labs,
    keys_are_generated,
    machines_are_made,
    systems_that_are_installed,
    virtual_network,
    forwarded_ports,
    real_machines_have_keys,
    lab_addresses,
    lab_infrastructure,
    balancer_address,
)
