"""Configuration of a node's operating system: one model for all systems that it is rendered for."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeVar

from pydantic import Field

from config.fields import common as v
from config.fields import node_os as n
from config.model.base import Model, ProxySettings

System = Literal["coreos", "flatcar", "debian", "ubuntu"]
# The first release of CoreOS without fleet and etcd 2.
_COREOS_WITHOUT_FLEET = 1675


class Named(Model):
    """An entry of a list in which a node's own entry takes the place of a default one of the same name."""

    identity: ClassVar[str] = "name"


class NodeUser(Named):
    """An account on the node."""

    name: n.Account = Field(examples=["usera"])
    """Name of the account: at most 32 lower-case letters, digits, `-` and `_`."""

    password: Literal["none", "configured"] = "none"
    """none: no login by password. configured: its hash is in `berth:secrets.nodeUsers`."""

    groups: tuple[n.Account, ...] = Field(default=(), examples=[["sudo", "docker"]])
    """Further groups. Members of sudo become root without a password, on every system."""

    ssh_keys: tuple[n.SshKey, ...] = Field(default=(), examples=[["ssh-ed25519 AAAA... me"]])
    """Public keys that may log in."""

    shell: n.FilePath | None = Field(default=None, examples=["/bin/bash"])
    """Login shell. Default: the system's."""


class Link(Model):
    """What an interface and a VLAN have in common."""

    dhcp: v.Flag = False
    """Take addresses by DHCP, beside those given here."""

    addresses: tuple[n.InterfaceAddress, ...] = Field(default=(), examples=[["192.0.2.11/24"]])
    """Fixed addresses, each with the prefix of its network."""

    gateway: v.Address | None = Field(default=None, examples=["192.0.2.1"])
    """Default route: an address of one of this interface's networks."""

    dns: tuple[v.Address, ...] = Field(default=(), examples=[["192.0.2.2", "192.0.2.3"]])
    """Name servers."""

    search_domains: tuple[v.HostName, ...] = Field(default=(), examples=[["example.com"]])
    """Domains in which short names are looked up; nodes are reached without proxy in them too."""

    mtu: n.Mtu | None = Field(default=None, examples=[9000])
    """Largest packet in bytes. Default: the driver's."""


class VlanSettings(Link):
    """A tagged network on an interface."""

    id: n.VlanId = Field(examples=[3000])
    """VLAN id, 1 to 4094."""

    name: n.LinkName | None = Field(default=None, examples=["v3000"])
    """Name of its interface. Default: `v` and the id."""

    @property
    def link_name(self) -> str:
        """The name of the interface that the VLAN becomes."""
        return self.name or f"v{self.id}"


class InterfaceSettings(Link):
    """A network interface."""

    name: n.LinkName | None = Field(default=None, examples=["enp0s3"])
    """The kernel's name of the interface; this, the MAC address, or both (then it gets this name, on Debian and
    Ubuntu)."""

    mac: n.Mac | None = Field(default=None, examples=["08:00:27:4e:66:a1"])
    """Its MAC address."""

    vlans: tuple[VlanSettings, ...] = Field(default=(), examples=[[{"id": 3000, "addresses": ["198.51.100.11/24"]}]])
    """Tagged networks on it."""


class TcpSettings(Model):
    """Docker's API on a TCP port, through a socket unit."""

    port: v.Port = 2376
    """The port: 2376 is the usual one with TLS, 2375 without."""

    tls: v.Flag = True
    """Require client certificates; the files are ca.pem, cert.pem and key.pem in /etc/docker/tls, given in `files`.
    Without it, every client that reaches the port is root on the node."""


class NodeDocker(Model):
    """How the node's Docker daemon is started; its settings are `berth:docker`."""

    options: tuple[n.DockerOption, ...] = Field(default=(), examples=[["--mtu=1450"]])
    """Further options for dockerd's command line."""

    insecure_registries: tuple[v.RegistryHost, ...] = Field(default=(), examples=[["old-registry.example.com:5000"]])
    """Registries without valid certificate, by a drop-in, for daemons that Berth never configures: dockerd refuses
    to start with both this and the daemon.json of `berth up`."""

    tcp: TcpSettings | None = None
    """Docker's API on a TCP port. Default: none."""


class EtcdSettings(Model):
    """etcd on the nodes with that role: a section for CoreOS, a drop-in for Flatcar, /etc/default/etcd elsewhere."""

    version: n.EtcdVersion | None = Field(default=None, examples=[3])
    """2: etcd2.service, with the legacy ports too. 3: etcd-member.service. Default: what CoreOS's release has."""

    tls: v.Flag = True
    """TLS between members and for clients; ca.pem, cert.pem and key.pem in /etc/ssl/etcd, given in `files`."""

    token: n.Label = "berth"
    """Name of the cluster, so that a member never joins another one by mistake."""

    discovery: n.DiscoveryUrl | None = Field(default=None, examples=["https://discovery.etcd.io/TOKEN"])
    """Find the members by a discovery service. Default: the nodes with the role etcd, by name and address."""

    discovery_proxy: v.ProxyUrl | None = Field(default=None, examples=["http://proxy.example.com:3128"])
    """Proxy for asking the discovery service."""


class FleetSettings(Model):
    """fleet, which CoreOS had before 1675; left out, with a warning, elsewhere."""

    metadata: dict[n.Label, n.Label] = Field(default={}, examples=[{"region": "dc1"}])
    """Metadata for the placement of units; `public_ip` is added."""


class FlannelSettings(Model):
    """flannel on CoreOS and Flatcar, started before Docker; left out, with a warning, elsewhere."""

    network: v.Cidr = Field(examples=["10.1.0.0/16"])
    """Network of the containers, of which every node gets a part."""


class DropIn(Model):
    """A drop-in of a systemd unit."""

    name: n.DropInName = Field(examples=["50-limits.conf"])
    """Name of its file."""

    content: n.Block = Field(examples=["[Service]\nLimitNOFILE=65536\n"])
    """Text of its file."""


class UnitSettings(Named):
    """A systemd unit, or drop-ins of one."""

    name: n.UnitName = Field(examples=["scrub.service"])
    """Name of the unit; .network, .netdev and .link are units too."""

    content: n.Block | None = None
    """Text of the unit. Default: it is there already."""

    enable: v.Flag = False
    """Enable it: it starts at every boot as its [Install] section defines."""

    start: v.Flag = False
    """Start it when the node is set up."""

    drop_ins: tuple[DropIn, ...] = Field(default=(), examples=[[{"name": "50-x.conf", "content": "[Service]\n"}]])
    """Drop-ins."""


class FileSettings(Named):
    """A file on the node."""

    identity: ClassVar[str] = "path"

    path: n.FilePath = Field(examples=["/etc/ssl/etcd/ca.pem"])
    """Full path. A file that Berth would write to the same place gives way."""

    content: n.Block | None = None
    """Its text; this or `secret`."""

    secret: n.Label | None = Field(default=None, examples=["etcd-node1-key"])
    """Its text is `berth:secrets.nodeFiles.NAME`; only the owner and its group may read the file."""

    owner: n.Owner = Field(default="root:root", examples=["etcd:etcd"])
    """User and group."""

    mode: n.Mode | None = Field(default=None, examples=["0755"])
    """Permissions. Default: 0644, of a secret one 0600."""

    @property
    def permissions(self) -> str:
        """The mode that the file gets."""
        return self.mode or ("0600" if self.secret else "0644")


class NodeConfig(Model):
    """Configuration of a node's operating system. Lists replace those of `berth:nodeDefaults`, except users, units and
    files: there an entry takes the place of the one with its name."""

    operating_system: System | None = None
    """What runs on the node: coreos takes cloud-config, flatcar Ignition, debian and ubuntu cloud-init."""

    release: n.Release | None = Field(default=None, examples=["1185.5.0"])
    """Version of CoreOS's image: those before 1675 have fleet and etcd 2. Default: a later one."""

    users: tuple[NodeUser, ...] = Field(default=(), examples=[[{"name": "usera", "groups": ["sudo", "docker"]}]])
    """Accounts beside the system's own."""

    ssh_keys: tuple[n.SshKey, ...] = Field(default=(), examples=[["ssh-ed25519 AAAA... me"]])
    """Public keys for the system's own account: core, debian or ubuntu."""

    interfaces: tuple[InterfaceSettings, ...] = Field(
        default=(), examples=[[{"name": "enp0s3", "addresses": ["192.0.2.11/24"], "gateway": "192.0.2.1"}]]
    )
    """Network. Default: as the system does it by itself, mostly DHCP."""

    proxies: ProxySettings | None = None
    """Proxies, for /etc/environment and Docker; every node is reached directly."""

    timezone: n.TimeZone | None = Field(default=None, examples=["America/New_York"])
    """Time zone. Default: the image's, UTC."""

    time_servers: tuple[v.Host, ...] = Field(default=(), examples=[["time.example.com"]])
    """NTP servers of the system's time service. Default: the image's."""

    ntpdate: v.Flag = False
    """Also set the clock by ntpdate five minutes after boot and every midnight."""

    motd: n.Block | None = Field(default=None, examples=["Just another day!!"])
    """What is shown after login."""

    shell_aliases: dict[n.ShellName, v.Text] = Field(default={}, examples=[{"dps": "docker ps -a"}])
    """Short commands for every login shell, as functions: "$1" is the first argument."""

    docker: NodeDocker = NodeDocker()
    """How dockerd is started."""

    etcd: EtcdSettings | None = None
    """etcd on the nodes that have the role. Default: none is set up."""

    fleet: FleetSettings | None = None
    """fleet. Default: none."""

    flannel: FlannelSettings | None = None
    """flannel. Default: none."""

    packages: tuple[n.Package, ...] = Field(default=(), examples=[["docker.io"]])
    """Packages to install; Debian and Ubuntu."""

    units: tuple[UnitSettings, ...] = Field(default=(), examples=[[{"name": "scrub.timer", "enable": True}]])
    """Further systemd units and drop-ins."""

    files: tuple[FileSettings, ...] = Field(default=(), examples=[[{"path": "/etc/issue", "content": "Hello\n"}]])
    """Further files."""

    @property
    def has_fleet(self) -> bool:
        """Whether the image carries fleet and etcd 2."""
        old = self.release is not None and int(self.release.split(".")[0]) < _COREOS_WITHOUT_FLEET
        return self.operating_system == "coreos" and old

    @property
    def etcd_version(self) -> int:
        """Which etcd the node runs, if any."""
        return (self.etcd and self.etcd.version) or (2 if self.has_fleet else 3)

    @property
    def domains(self) -> tuple[str, ...]:
        """Every domain in which short names are looked up."""
        links = [link for interface in self.interfaces for link in (interface, *interface.vlans)]
        return tuple(dict.fromkeys(domain for link in links for domain in link.search_domains))


_M = TypeVar("_M", bound=Model)


def merged(base: _M, over: _M) -> _M:
    """`base` with everything that is written in `over`, section by section."""
    return base.model_copy(
        update={name: _merged(getattr(base, name), getattr(over, name)) for name in over.model_fields_set}
    )


def resolve(defaults: NodeConfig | None, own: NodeConfig | None) -> NodeConfig | None:
    """A node's whole configuration; None if there is none."""
    if defaults is None or own is None:
        return own if defaults is None else defaults
    return merged(defaults, own)


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, Model) and isinstance(new, Model):
        return merged(old, new)
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **new}
    if isinstance(old, tuple) and new and all(isinstance(item, Named) for item in (*old, *new)):
        return tuple({getattr(item, item.identity): item for item in (*old, *new)}.values())
    return new
