"""Rules about the configuration of nodes' operating systems."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from config import naming
from config.model.node_os import InterfaceSettings, NodeConfig, VlanSettings, resolve
from config.model.nodes import NodeSettings
from config.model.stack import StackSettings
from config.problems import Problem, path, shown
from config.rules.common import Rule, duplicates, having

_READ_ONLY = ("coreos", "flatcar")


@dataclass(frozen=True)
class _NodeConfig:
    """A node with its whole configuration, defaults included."""

    index: int
    node: NodeSettings
    config: NodeConfig

    def at(self, field: str, *below: str | int) -> str:
        """The path of a field: in the node's own configuration, or in the defaults."""
        own, alias = self.node.config, NodeConfig.model_fields[field].alias or field
        if own is not None and field in own.model_fields_set:
            return path("nodes", self.index, "config", alias, *below)
        return path("nodeDefaults", alias, *below)

    def links(self) -> Iterator[tuple[InterfaceSettings | VlanSettings, str, str]]:
        """Every interface and VLAN, with a name for messages and its path."""
        for i, interface in enumerate(self.config.interfaces):
            yield interface, interface.name or interface.mac or f"interface {i}", self.at("interfaces", i)
            for k, vlan in enumerate(interface.vlans):
                yield vlan, vlan.link_name, self.at("interfaces", i, "vlans", k)


def node_configs(settings: StackSettings) -> list[NodeConfig]:
    """The defaults and every node's own configuration, where the file has them."""
    written = [settings.node_defaults, *(node.config for node in settings.nodes)]
    return [config for config in written if config is not None]


def _resolved(settings: StackSettings) -> Iterator[_NodeConfig]:
    for index, node in enumerate(settings.nodes):
        config = resolve(settings.node_defaults, node.config)
        if config is not None:
            yield _NodeConfig(index, node, config)


def operating_system(settings: StackSettings) -> Iterator[Problem]:
    """The configuration is rendered for an operating system, and must fit it."""
    for entry in _resolved(settings):
        config = entry.config
        if config.operating_system is None:
            own = entry.node.config is not None
            at = path("nodes", entry.index, "config") if own else path("nodeDefaults")
            fix = "Add it: coreos, flatcar, debian or ubuntu."
            yield Problem(f"{at}.operatingSystem", "is missing.", fix)
            continue
        if config.packages and config.operating_system in _READ_ONLY:
            wrong = f"cannot be installed on {config.operating_system}, whose system is read-only."
            yield Problem(entry.at("packages"), wrong, "Remove them, or run their programs in containers.")
        if config.release and config.operating_system != "coreos":
            wrong = f"is CoreOS's, but the node runs {config.operating_system}."
            yield Problem(entry.at("release"), wrong, "Remove it.", shown(config.release))
        if config.ntpdate and not config.time_servers:
            yield Problem(entry.at("ntpdate"), "has no servers.", "Name some in timeServers.")


def interfaces(settings: StackSettings) -> Iterator[Problem]:
    """With ambiguous networks a kernel would silently pick a route, or networkd find no interface."""
    for entry in _resolved(settings):
        nets: list[tuple[IPv4Network, str]] = []
        names: dict[str, str] = {}
        for link, name, at in entry.links():
            if isinstance(link, InterfaceSettings) and link.name is None and link.mac is None:
                yield Problem(
                    at, "has neither `name` nor `mac`, so that no interface matches.", "Write one of the two."
                )
            if names.setdefault(name, at) != at:
                yield Problem(at, f"has the name of {names[name]}.", "Give it another one.", shown(name))
            own = {IPv4Interface(address).network for address in link.addresses}
            gateway = link.gateway and IPv4Address(link.gateway)
            if gateway and not link.dhcp and not any(gateway in network for network in own):
                wrong = f"is outside of the networks of {name}: {', '.join(map(str, sorted(own))) or 'it has none'}."
                yield Problem(f"{at}.gateway", wrong, "Use a router of one of them.", shown(link.gateway))
            for network in sorted(own):
                other = next((other for known, other in nets if known.overlaps(network)), None)
                if other is not None:
                    wrong = f"has {network}, which overlaps a network of {other}."
                    yield Problem(f"{at}.addresses", wrong, "Give every interface and VLAN a network of its own.")
            nets += [(network, name) for network in own]
        for i, interface in enumerate(entry.config.interfaces):
            for k, _ in duplicates(vlan.id for vlan in interface.vlans):
                at = f"{entry.at('interfaces', i, 'vlans', k)}.id"
                yield Problem(at, "is on this interface already.", "Give it another id.", shown(interface.vlans[k].id))


def one_owner_each(settings: StackSettings) -> Iterator[Problem]:
    """A MAC address and a fixed address belong to one interface of one node."""
    first: dict[str, str] = {}
    for entry in _resolved(settings):
        for i, interface in enumerate(entry.config.interfaces):
            if interface.mac:
                yield from _unique(first, interface.mac, f"{entry.at('interfaces', i)}.mac", entry)
        for link, _, at in entry.links():
            for address in link.addresses:
                yield from _unique(first, address.partition("/")[0], f"{at}.addresses", entry)


def _unique(first: dict[str, str], value: str, at: str, entry: _NodeConfig) -> Iterator[Problem]:
    here = f"{entry.node.name} ({at})"
    if first.setdefault(value, here) != here:
        yield Problem(at, f"is {first[value]}'s already.", "Give each node its own.", shown(value))


def docker(settings: StackSettings) -> Iterator[Problem]:
    """Options with their own setting would contradict it."""
    for entry in _resolved(settings):
        known = {"insecure-registry": "insecureRegistries", "host": "tcp", "tlsverify": "tcp", "tls": "tcp"}
        for i, option in enumerate(entry.config.docker.options):
            instead = known.get(option[2:].partition("=")[0])
            if instead:
                at = entry.at("docker", "options", i)
                yield Problem(at, f"has its own setting: {instead}.", f"Use docker.{instead}.", shown(option))
        tcp = entry.config.docker.tcp
        if tcp is not None and tcp.tls:
            yield from _tls_files(entry, "docker", naming.DOCKER_TLS)


def etcd(settings: StackSettings) -> Iterator[Problem]:
    """etcd's members are the nodes with the role; flannel stores its network there."""
    members = having(settings, "etcd")
    for entry in _resolved(settings):
        config = entry.config
        if config.etcd is not None and config.etcd.version == 2 and not config.has_fleet:
            fix = "Write 3, or name the image in `release` if it is older."
            wrong = "is etcd 2, which only CoreOS before 1675 has."
            yield Problem(entry.at("etcd", "version"), wrong, fix, "2")
        if config.etcd is not None and config.etcd.tls and "etcd" in entry.node.roles:
            yield from _tls_files(entry, "etcd", naming.ETCD_TLS)
        if config.flannel is None:
            continue
        if config.etcd is None or not members:
            wrong = "needs etcd, where it stores its network."
            fix = "Set `etcd`, and give one, three or five nodes the role etcd."
            yield Problem(entry.at("flannel"), wrong, fix)
        network = IPv4Network(config.flannel.network)
        taken = [str(IPv4Interface(address).network) for link, _, _ in entry.links() for address in link.addresses]
        clash = next((one for one in [*taken, entry.node.address] if network.overlaps(IPv4Network(one))), None)
        if clash:
            wrong = f"overlaps {clash} of {entry.node.name}."
            fix = "Use a network that nothing else uses, such as 10.1.0.0/16."
            yield Problem(entry.at("flannel", "network"), wrong, fix, shown(config.flannel.network))


def files(settings: StackSettings) -> Iterator[Problem]:
    """A file has one source of its text, and a secret one is not readable for others."""
    for entry in _resolved(settings):
        for file in entry.config.files:
            at, name = entry.at("files"), shown(file.path)
            if (file.content is None) == (file.secret is None):
                yield Problem(at, "must have either `content` or `secret`.", "Write one of the two.", name)
            if file.secret and int(file.permissions, 8) & 0o007:
                yield Problem(at, "is a secret, but readable for everybody.", 'Use the mode "0600" or "0640".', name)
            if file.path.startswith("/usr/") and entry.config.operating_system in _READ_ONLY:
                wrong = f"is below /usr, which is read-only on {entry.config.operating_system}."
                yield Problem(at, wrong, "Use a path in /etc or /opt.", name)


def unique_entries(settings: StackSettings) -> Iterator[Problem]:
    """Of two entries with the same name, one would be lost."""
    written = [(path("nodeDefaults"), settings.node_defaults)]
    written += [(path("nodes", index, "config"), node.config) for index, node in enumerate(settings.nodes)]
    for at, config in written:
        for field in ("users", "units", "files"):
            names = [getattr(entry, entry.identity) for entry in getattr(config, field, ())]
            for i, _ in duplicates(names):
                yield Problem(
                    f"{at}.{field}[{i}]", "is in this list already.", "Remove one of the two.", shown(names[i])
                )


def _tls_files(entry: _NodeConfig, field: str, directory: str) -> Iterator[Problem]:
    given = {file.path: file for file in entry.config.files}
    for name in naming.TLS_FILES:
        if f"{directory}/{name}" not in given:
            wrong = f"uses TLS, but {directory}/{name} is not among the node's files."
            fix = "Add it to `files` (the key by `secret`), or set `tls: false`."
            yield Problem(entry.at(field), wrong, fix)


RULES: tuple[Rule, ...] = (operating_system, interfaces, one_owner_each, docker, etcd, files, unique_entries)
