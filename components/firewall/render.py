"""The table of a node and the unit that loads it; pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from components.lib.host_files.bundle import Directive, Entry, File
from config import naming
from config.model.nodes import NodeSettings
from config.model.stack import StackSettings

STAGE = "firewall"
TABLE_FILE = f"{naming.node_directory(STAGE)}/table.nft"
UNIT = "berth-firewall.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"

UNIT_TEXT = f"""\
[Unit]
Description=Berth's table of nftables: who may reach the ports of its services
# Before any container is back, and after whoever else loads rules.
Before=docker.service
After=nftables.service firewalld.service ufw.service iptables.service netfilter-persistent.service
# Its file usually begins with `flush ruleset`, which takes everybody's tables away.
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {TABLE_FILE}
ExecReload=/usr/sbin/nft -f {TABLE_FILE}
# Stopping it opens nothing: the table stays.

[Install]
WantedBy=multi-user.target docker.service nftables.service
"""


@dataclass(frozen=True)
class Chain:
    """Ports that are open to some machines and closed to all others."""

    name: str
    """In the table."""
    ports: Sequence[int]
    sources: Sequence[str]
    """IPv4 addresses and networks; the node itself comes in by its loopback interface."""


@dataclass(frozen=True)
class Bounds:
    """How many connections there may be at once, finished ones not counted and half-open ones counted."""

    ports: Sequence[int]
    own: Sequence[str]
    """The stack's own machines: the nodes and the deploy host."""
    each: int
    outsiders: int
    all: int


@dataclass(frozen=True)
class Rules:
    """Everything that a node's table depends on."""

    node: str
    address: str
    chains: Sequence[Chain]
    bounds: Bounds | None
    peers: Sequence[str]
    """Machines of the stack that any chain lets in: one that leaves the stack is let in for a while longer."""

    @property
    def ports(self) -> list[int]:
        """Every port that other machines reach Berth's services by."""
        found = {port for chain in self.chains for port in chain.ports}
        return sorted(found | set(self.bounds.ports if self.bounds else ()))


def rules_of(settings: StackSettings, node: NodeSettings) -> Rules | None:
    """What is right for a node; None without services that others reach, or where somebody else sees to it."""
    if settings.firewall == "external":
        return None
    store, registry = settings.object_store, settings.registry
    balancers = [one.address for one in settings.with_role("load-balancer")]
    replicas = settings.with_role("registry")
    address = settings.load_balancer.address
    own = plain([*(one.address for one in settings.nodes), *settings.deploy_host_addresses])
    chains: list[Chain] = []
    if "object-store" in node.roles:
        clients = [one.address for one in settings.nodes if settings.uses_store(one)]
        chains.append(Chain("object-store", [store.port], plain([*clients, address])))
    if "registry" in node.roles:
        caching = node in replicas[: naming.CACHES_PER_UPSTREAM]
        ports = [naming.REGISTRY_REPLICA_PORT, *(one.port for one in registry.upstreams if caching)]
        chains.append(Chain("behind-balancer", ports, plain([*balancers, address])))
    bounds = None
    if "load-balancer" in node.roles:
        chains.append(Chain("store-endpoint", [store.endpoint_port], plain([*own, address, *store.allow])))
        bounds = Bounds(
            ports=[registry.port, registry.mirror_port, store.endpoint_port],
            own=plain([*own, address]),
            each=settings.load_balancer.connections_per_address,
            outsiders=naming.FRONT_CONNECTIONS_OF_CLIENTS,
            all=naming.FRONT_CONNECTIONS,
        )
    sources = {source for chain in chains for source in chain.sources}
    peers = [one for one in plain([*own, address]) if one in sources]
    return Rules(node.name, node.address, chains, bounds, peers) if chains else None


def plain(sources: Iterable[str]) -> list[str]:
    """In order, each once, none that another one holds: nft refuses a set with overlapping elements."""
    networks = sorted({IPv4Network(source) for source in sources})
    outermost = [one for one in networks if not any(one != other and one.subnet_of(other) for other in networks)]
    return [str(one.network_address) if one.prefixlen == 32 else str(one) for one in outermost]


def table(rules: Rules) -> str:
    """The table as `nft -f` reads it: it replaces the one that is there, in one step or not at all."""
    lines = [
        "# Berth's own table. It only takes away: what it lets pass is still up to all other tables.",
        "table inet berth",
        "delete table inet berth",
        "table inet berth {",
        "    # Who belonged here until a moment ago: the rest of the change finds its services as they were.",
        "    set leaving {",
        "        type ipv4_addr",
        "        flags timeout",
        "    }",
    ]
    bounds = rules.bounds
    if bounds:
        lines += [
            "    set addresses {",
            "        type ipv4_addr",
            "        flags dynamic",
            "        size 65536",
            "    }",
        ]
    lines += [
        "    chain input {",
        "        type filter hook input priority -10; policy accept;",
        '        iif "lo" accept',
        *(f"        tcp dport {_set(chain.ports)} jump {chain.name}" for chain in rules.chains),
    ]
    if bounds:
        lines.append(f"        tcp dport {_set(bounds.ports)} ct state new jump connections")
    lines.append("    }")
    for chain in rules.chains:
        lines += [
            f"    chain {chain.name} {{",
            f"        ip saddr {_set(chain.sources)} return",
            "        ip saddr @leaving return",
            "        # At once and in the open: a packet that is lost without a word would look like a broken network.",
            "        counter reject with tcp reset",
            "    }",
        ]
    if bounds:
        lines += [
            "    chain connections {",
            "        # Dropped, not refused: who belongs here tries again by itself a second later.",
            f"        add @addresses {{ ip saddr ct count over {bounds.each} }} counter drop",
            f"        ip saddr != {_set(bounds.own)} ct count over {bounds.outsiders} counter drop",
            f"        ct count over {bounds.all} counter drop",
            "    }",
        ]
    return "\n".join([*lines, "}"]) + "\n"


def entries(rules: Rules) -> list[Entry]:
    """A node's bundle."""
    return [
        # Before the files: what a node lacks is said before anything is written.
        Directive("node", [rules.node, rules.address]),
        *(Directive("needs", [str(port)]) for port in rules.ports),
        *(Directive("peer", [peer]) for peer in rules.peers),
        Directive("ask", [STAGE]),
        File(TABLE_FILE, table(rules)),
        File(UNIT_FILE, UNIT_TEXT),
    ]


def _set(elements: Sequence[object]) -> str:
    return f"{{ {', '.join(map(str, elements))} }}" if len(elements) != 1 else str(elements[0])
