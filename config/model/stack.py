"""Every setting of a stack, typed and frozen. Rules that look at more than one setting are in `validation`."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue

from config import naming
from config.fields import common as v
from config.model.base import Model, ProxySettings
from config.model.kolla import KollaSettings
from config.model.node_os import NodeConfig, resolve

if TYPE_CHECKING:
    from pulumi import Output

    SecretText = Output[str]
else:
    SecretText = Any  # pulumi is slow to import, and `berth` reads settings in every command

Role = Literal[
    "registry",
    "object-store",
    "load-balancer",
    "swarm-manager",
    "swarm-worker",
    "etcd",
    "control",
    "network",
    "compute",
    "monitoring",
    "storage",
    "deployment",
]


KOLLA_ROLES: tuple[Role, ...] = ("control", "network", "compute", "monitoring", "storage")
"""Roles whose nodes Kolla puts containers on, by the names of its inventory's own groups."""


class LabSettings(Model):
    """Lab nodes are containers on a bridge network of the deploy host."""

    subnet: v.Cidr = Field(default="", examples=["10.77.0.0/24"])
    """Network of the lab's nodes. Default: the /24 around the first node's address."""

    gateway: v.Address = Field(default="", examples=["10.77.0.1"])
    """Address of the deploy host in that network. Default: the first one of the subnet."""

    upstream: v.Flag = False
    """Also run a stand-in for a public registry, at the third address of the subnet and port 5000."""

    @property
    def upstream_address(self) -> str | None:
        """The stand-in upstream's address; None where there is none."""
        return naming.lab_upstream_address(IPv4Network(self.subnet)) if self.upstream else None


# VirtualBox takes no less than a few megabytes; CoreOS's live system needs two gigabytes to unpack itself.
_Memory = Annotated[int, Field(strict=True, ge=2048, le=1048576)]
_Cpus = Annotated[int, Field(strict=True, ge=1, le=64)]
_Disk = Annotated[int, Field(strict=True, ge=10, le=65536)]


class InstallerSettings(Model):
    """What the live system's own installer (coreos-install, flatcar-install) is told."""

    channel: v.Release = "stable"
    """Release channel to install from."""

    version: v.Release | None = Field(default=None, examples=["4081.2.0"])
    """Version to install. Default: the channel's current one."""

    source: v.Mirror | None = Field(default=None, examples=["https://releases.example.com"])
    """Where the installer downloads the system. Default: its vendor's site."""

    proxy: v.Mirror | None = Field(default=None, examples=["http://proxy.example.com:3128"])
    """Proxy for that download."""


class VirtualBoxSettings(Model):
    """Virtual machines that Berth makes with VirtualBox on the deploy host, on a NAT network of their own."""

    iso: v.LocalPath = Field(examples=["~/isos/flatcar_production_iso_image.iso"])
    """The live CoreOS or Flatcar ISO on the deploy host: a full path or one that begins with `~/`."""

    sha256: v.Sha256 = Field(examples=["0" * 64])
    """Checksum of that file; another one is refused."""

    subnet: v.Cidr = Field(default="", examples=["10.78.0.0/24"])
    """The NAT network's range. Default: the /24 around the first node's address."""

    directory: v.LocalPath = "~/VirtualBox VMs"
    """Where the machines and their disks are kept on the deploy host."""

    memory: _Memory = 2048
    """Memory of each machine in MB, at least 2048."""

    cpus: _Cpus = 2
    """Processors of each machine."""

    disk: _Disk = 20
    """Size of each machine's disk in GiB. It takes up what is written to it."""

    installer: InstallerSettings = InstallerSettings()
    """What is installed."""


class MachineSettings(Model):
    """What one virtual machine has in another way than the others."""

    memory: _Memory | None = None
    """Memory in MB. Default: `berth:virtualbox.memory`."""

    cpus: _Cpus | None = None
    """Processors. Default: `berth:virtualbox.cpus`."""

    disk: _Disk | None = None
    """Size of the disk in GiB; it can grow. Default: `berth:virtualbox.disk`."""

    replace: v.Flag = False
    """Allow Berth to lose the disk: when it must be a smaller one, when the machine's configuration changed (it is
    installed anew then), when it leaves the stack."""


class UserSettings(Model):
    """Someone who logs in to the registry."""

    name: v.UserName = Field(examples=["alice"])
    """Name for `docker login`: at most 64 characters, no colon."""

    role: Literal["push", "pull", "admin"]
    """pull: may read. push: may read and write. admin: may delete too."""

    password: Literal["generated", "configured"] = "generated"
    """generated: Berth makes it and keeps it in the state. configured: it is in `berth:secrets`."""

    versions: v.Versions = Field(default=(1,), examples=[[1, 2]])
    """Generated passwords that are valid, at most two; the last one is handed out. [1, 2], then [2] replaces one."""


class UpstreamSettings(Model):
    """A registry elsewhere that is read through a cache."""

    name: v.Label = Field(examples=["quay"])
    """Name of the cache, chosen once: at most 32 lower-case letters, digits and hyphens."""

    url: v.UpstreamUrl = Field(examples=["https://quay.io"])
    """Where the upstream answers: https, host and port, nothing behind it. Docker Hub: https://registry-1.docker.io."""

    prefix: v.Repository = Field(examples=["quay.io"])
    """Path under which its images are read: `quay.io` makes quay.io/a/b of the upstream <registry>/quay.io/a/b."""

    mirror: v.Flag = False
    """Serve it at the root of the mirror port too, for the daemons' registry-mirrors. Default: true for Docker Hub."""

    user: v.UserName | None = Field(default=None, examples=["robot"])
    """Account at the upstream; its password is in `berth:secrets.upstreams`. Default: none, as anybody."""

    ca: v.Certificates | None = None
    """Certificate of a private CA that signed the upstream's, as PEM. Default: the CAs that every system trusts."""

    max_size: v.Size = "50GiB"
    """What the object store keeps of this upstream, in MiB, GiB or TiB. More is handed out and not kept."""

    port: v.CachePort = naming.CACHE_FIRST_PORT
    """Port of the cache on its nodes (TLS); its health page is 500 above. Default: 4020 and on, in the list's order."""

    @property
    def host(self) -> str:
        """Host of the URL, with the port if one is written there."""
        return self.url.removeprefix("https://")


class CacheSettings(Model):
    """What each cache may use of its node: there is one for each upstream on each of two nodes."""

    spool: v.Size = "10GiB"
    """Blobs on their way from the upstream, below /var/cache/berth; the largest layer has to fit. With N upstreams a
    node's disk holds at most N times as much."""

    reserve: v.Size = "2GiB"
    """What stays free on that disk, whoever fills it: a cache begins no fetch, and ends those it has, before that."""

    fetches: Annotated[int, Field(strict=True, ge=1, le=1024)] = 16
    """Blobs that a cache fetches at once, each with about 20 MB of memory. More wait ten seconds, then 503."""

    abandon_after: Annotated[int, Field(strict=True, ge=1, le=86400)] = 30
    """Seconds that a fetch goes on which nobody reads any more."""


class RegistrySettings(Model):
    """The one name under which images are pushed and pulled."""

    name: v.HostName = Field(examples=["registry.example.com"])
    """Host name of the registry, as it stands in image names."""

    port: v.Port = 4000
    """Port of the registry (TLS). 4000 and not 5000, which is Keystone's."""

    mirror_port: v.Port = 4001
    """Port for nodes that use the caches as mirrors (TLS, client certificate, reads only)."""

    names: Literal["hosts", "external"] = "hosts"
    """hosts: Berth keeps a marked block in /etc/hosts of the nodes and the deploy host. external: your DNS knows it."""

    insecure: v.Flag = False
    """Also write the registry to insecure-registries of every daemon. TLS stays on."""

    users: tuple[UserSettings, ...] = Field(examples=[[{"name": "push", "role": "push"}]])
    """Who may log in; at least one who can push. Nobody reads without logging in."""

    node_user: v.NodeUser = Field(default="", examples=["nodes"])
    """User with the role pull that the nodes log in with. Default: the first one; "" keeps nodes logged out."""

    upstreams: tuple[UpstreamSettings, ...] = Field(
        default=(), examples=[[{"name": "quay", "url": "https://quay.io", "prefix": "quay.io"}]]
    )
    """Registries elsewhere that are read through caches; each owns the paths that begin with its prefix."""

    cache: CacheSettings = CacheSettings()
    """What each of these caches may use of its node."""

    @property
    def mirror_endpoint(self) -> str:
        """host:port of the mirror port."""
        return naming.endpoint(self.name, self.mirror_port)

    @property
    def mirrored(self) -> UpstreamSettings | None:
        """The upstream at the root of the mirror port, if there is one."""
        return next((upstream for upstream in self.upstreams if upstream.mirror), None)


class SshSettings(Model):
    """How the deploy host gets into a node."""

    host: v.Host = Field(default="", examples=["127.0.0.1"])
    """Host to connect to. Default: the node's address; another one behind port forwarding."""

    port: v.Port = 22
    """TCP port of sshd on that host."""

    user: v.Account = "root"
    """Account to log in with: root, or one that may use sudo without a password."""

    key_file: v.KeyFile | None = Field(default=None, examples=["~/.ssh/berth"])
    """Private key on the deploy host: a full path or one that begins with `~/`. Not for lab nodes."""

    host_key: v.HostKey | None = Field(default=None, examples=["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA..."])
    """The node's own public key; nothing is sent to a machine that shows another one. Not for lab nodes."""

    @property
    def key_path(self) -> Path | None:
        """The private key's path with `~` replaced by the home directory."""
        return None if self.key_file is None else Path(self.key_file).expanduser()


class LiveSettings(Model):
    """How the deploy host gets into the live system that a machine is installed from."""

    host: v.Host = Field(default="", examples=["192.0.2.50"])
    """Host to connect to. Default: the node's `ssh.host`."""

    port: v.Port = 22
    """TCP port of sshd on that host."""

    user: v.Account = "core"
    """Account to log in with, by the key of `ssh.keyFile`."""

    host_key: v.HostKey = Field(examples=["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA..."])
    """The live system's own public key, another one at each of its starts: `cat /etc/ssh/ssh_host_ed25519_key.pub`
    there. A new one here means a new installation."""


class InstallSettings(Model):
    """A machine that Berth installs from the live CoreOS or Flatcar that runs on it."""

    disk: v.Device = Field(examples=["/dev/sda"])
    """The disk to install to, as the live system knows it."""

    wipe: v.Flag = False
    """Allow Berth to lose what is on that disk."""

    live: LiveSettings
    """How the live system is reached."""

    reboot: v.Flag = False
    """Allow Berth to restart the machine when its configuration changed (CoreOS), one machine at a time."""

    installer: InstallerSettings = InstallerSettings()
    """What is installed."""


class NodeSettings(Model):
    """A machine that Berth manages."""

    name: v.NodeName = Field(examples=["node1"])
    """Host name of the node; chosen once, for data is bound to it."""

    address: v.Address = Field(examples=["10.77.0.11"])
    """IPv4 address under which the nodes reach each other."""

    roles: tuple[Role, ...] = Field(examples=[["object-store", "registry"]])
    """What the node does. An empty list: its Docker daemon is looked after, nothing runs on it."""

    provider: Literal["lab", "virtualbox", "bare-metal"] = "bare-metal"
    """lab: a container made by Berth. virtualbox: a virtual machine, made by Berth with `berth:virtualbox`.
    bare-metal: exists already. Default: lab with `berth:lab: true`, virtualbox with `berth:virtualbox`, otherwise
    bare-metal."""

    ssh: SshSettings = SshSettings()
    """How the deploy host gets in."""

    config: NodeConfig | None = None
    """What the node's system is set up with, over `berth:nodeDefaults`; `berth node-config` prints it."""

    virtualbox: MachineSettings = MachineSettings()
    """The virtual machine, where Berth makes it."""

    install: InstallSettings | None = None
    """Install the machine (bare-metal) from its live system. Default: it runs already."""

    @property
    def in_swarm(self) -> bool:
        """Whether the node is a manager or a worker of the swarm."""
        return "swarm-manager" in self.roles or "swarm-worker" in self.roles


class LoadBalancerSettings(Model):
    """The address at which the registry answers."""

    address: v.Address = Field(examples=["10.77.0.11"])
    """The registry's IPv4 address. With one load-balancer node: that node's address; with more: a free one of their
    network, which moves to a living one."""

    prefix_length: Annotated[int, Field(strict=True, ge=8, le=30)] = 24
    """Length of the network prefix around that address, in bits."""

    router_id: Annotated[int, Field(strict=True, ge=1, le=255)] = 77
    """VRRP router id, alone on its network. Not 51, which is Kolla's."""

    connections_per_address: Annotated[int, Field(strict=True, ge=16, le=naming.FRONT_CONNECTIONS_OF_STRANGERS)] = 1024
    """Connections that one address may have at once to a balancer, half-open ones included; more have to wait."""


class ObjectStoreSettings(Model):
    """MinIO, which keeps the registry's blobs on all nodes with the role object-store."""

    port: v.Port = 9000
    """Port of MinIO on each of its nodes (TLS)."""

    endpoint_port: v.Port = 9443
    """Port on the load balancer that leads to any living MinIO node (TLS)."""

    bucket: v.Bucket = "registry"
    """Bucket of the registry."""

    data_dir: v.Directory = "/var/lib/berth/object-store"
    """Directory on the nodes that holds the data; the best place for a disk of its own."""

    allow: tuple[v.Source, ...] = Field(default=(), examples=[["10.1.0.0/16", "192.0.2.9"]])
    """Who else may reach endpointPort: IPv4 addresses and networks. The nodes and the deploy host always may."""


class EtcdClusterSettings(Model):
    """etcd, a key-value store, on all nodes with the role etcd."""

    client_port: v.Port = 2379
    """Port for etcd's clients on each member (TLS, client certificate)."""

    peer_port: v.Port = 2380
    """Port for the other members (TLS, client certificate)."""

    data_dir: v.Directory = "/var/lib/etcd/berth"
    """Directory on the members that holds the data; best on a disk that writes fast."""

    heartbeat_interval: Annotated[int, Field(strict=True, ge=10, le=5000)] = 100
    """Milliseconds between a leader's signs of life; after ten of them missing another one is elected."""


class OverlaySettings(Model):
    """A network between containers of several nodes."""

    name: v.Label = Field(examples=["backend"])
    """Name of the network, as services name it."""

    subnet: v.Cidr = Field(examples=["10.20.1.0/24"])
    """The network's addresses: a part of `addressPool`."""

    encrypted: v.Flag = True
    """Encrypt what goes from node to node (IPsec)."""

    attachable: v.Flag = False
    """Containers outside of services (`docker run --network`) may use it too."""


class SwarmSettings(Model):
    """Docker Swarm, on the nodes with the roles swarm-manager and swarm-worker."""

    address_pool: v.Cidr = "10.20.0.0/16"
    """Where Swarm's networks have their addresses, /24 each; chosen once, for it is fixed when the swarm is made."""

    networks: tuple[OverlaySettings, ...] = Field(
        default=(), examples=[[{"name": "backend", "subnet": "10.20.1.0/24"}]]
    )
    """Overlay networks."""

    labels: dict[v.NodeName, dict[v.SwarmLabel, v.Text]] = Field(default={}, examples=[{"node3": {"zone": "a"}}])
    """Labels of the swarm's nodes, by node, for placement constraints (`node.labels.zone==a`)."""

    token_version: Annotated[int, Field(strict=True, ge=1)] = 1
    """Raise it to make the tokens anew with which nodes join; who is in the swarm stays in."""


class DockerRolloutSettings(Model):
    """How a change reaches the daemons of many nodes."""

    batch_size: Annotated[int, Field(strict=True, ge=1, le=1000)] = 10
    """Nodes whose daemons change together, of those that carry no service of Berth's, of Swarm or of Kolla's control
    plane; the first of them changes alone, before all other nodes. A batch that fails stops those that follow."""


class DockerSettings(Model):
    """The Docker daemon of every node. Berth owns daemon.json as a whole."""

    adopt: v.Flag = False
    """Take over a daemon.json with foreign keys: they are dropped (the original is kept and comes back on destroy)."""

    extra: dict[str, JsonValue] = Field(default={}, examples=[{"max-concurrent-downloads": 6}])
    """Further keys of daemon.json, as Docker names them, that have no setting of their own here."""

    options: tuple[v.DaemonFlag, ...] = Field(default=(), examples=[["--host-gateway-ip=10.0.0.1"]])
    """Flags of dockerd that daemon.json has no key for, as --name=value; they go to /etc/default/docker, on Red Hat's
    family to /etc/sysconfig/docker. A change restarts the daemon."""

    insecure_registries: tuple[v.RegistryHost, ...] = Field(default=(), examples=[["old-registry.example.com:5000"]])
    """Other registries that have no valid certificate: host:port or network."""

    registry_mirrors: tuple[v.Mirror, ...] = Field(default=(), examples=[["https://mirror.example.com"]])
    """Further mirrors of Docker Hub, as https URLs (http only if the host is in insecureRegistries)."""

    proxies: ProxySettings | None = None
    """Proxies that the daemon uses to pull images."""

    log_driver: v.LogDriver = "json-file"
    """Log driver of new containers."""

    log_options: dict[v.OptionName, v.Text] = Field(default={"max-size": "10m", "max-file": "3"})
    """Options of the log driver; every value is text. Replaces the default options as a whole."""

    live_restore: v.Flag | None = Field(default=None, examples=[False])
    """Keep containers running while the daemon restarts. Default: true, on Swarm's nodes false, where it cannot be."""

    no_new_privileges: v.Flag | None = Field(default=None, examples=[False])
    """No process in a new container gains rights by setuid programs such as sudo. Default: true; false on Kolla's
    nodes, whose images use sudo, and on Swarm's, whose services cannot be given another rule."""

    userland_proxy: v.Flag | None = Field(default=None, examples=[True])
    """A process for each published port, beside the rules of the kernel. Default: false; true on Kolla's nodes and
    where `extra` turns the daemon's `iptables` off, which leaves ports to these processes."""

    icc: v.Flag | None = Field(default=None, examples=[True])
    """Containers on Docker's default bridge reach each other. Default: false; true on Kolla's nodes and where `extra`
    turns the daemon's `iptables` off. Networks of one's own are not meant."""

    mtu: Annotated[int, Field(strict=True, ge=576, le=65535)] | None = Field(default=None, examples=[1450])
    """MTU of Docker's default bridge in bytes. Default: Docker's own."""

    rollout: DockerRolloutSettings = DockerRolloutSettings()
    """How a change reaches many nodes. Nodes with a service of Berth's always change one at a time."""

    restart_timeout: Annotated[int, Field(strict=True, ge=5, le=900)] = 60
    """Seconds that a restarted daemon may take to answer before the old settings are put back."""


class SeedSettings(Model):
    """The registry on the deploy host from which nodes take Berth's own images at first."""

    address: v.Address = Field(default="", examples=["10.77.0.2"])
    """The deploy host's IPv4 address as the nodes see it. Default in a lab: the second address of the subnet."""

    port: v.Port = 4999
    """TCP port of the seed registry (TLS)."""


class ImageSettings(Model):
    """Images of the services. What is not named here is built by Berth and served by the seed registry."""

    seed: SeedSettings = SeedSettings()
    """The seed registry."""

    registry: v.Image | None = Field(default=None, examples=["docker.io/library/registry@sha256:" + "0" * 64])
    """Image of the registry, with digest, from a registry that the nodes reach."""

    object_store: v.Image | None = None
    """Image of the object store, with digest: MinIO, or a fork of it that takes the same command and environment."""

    nginx: v.Image | None = None
    """Image of nginx, with digest."""

    keepalived: v.Image | None = None
    """Image of keepalived, with digest. Default: Berth's image of nginx, which holds both."""

    cache: v.Image | None = None
    """Image of the caches, with digest. Default: Berth's image of the registry."""


# A program that is given less ends at its start; MinIO works out from it how many requests it takes at once.
_Bound = Annotated[int, Field(strict=True, ge=32, le=1048576)]
_Processes = Annotated[int, Field(strict=True, ge=32, le=4194304)]


class LimitSettings(Model):
    """What the containers of one service may take at most; nothing is set aside for them."""

    memory: _Bound
    """Memory in MB, swap included. A process that wants more is killed, and its container started again."""

    processes: _Processes
    """Processes and threads."""


class MinioLimits(LimitSettings):
    """MinIO's."""

    memory: Annotated[int, Field(strict=True, ge=512, le=1048576)] = 2048
    """Memory in MB, swap included."""

    processes: _Processes = 2048
    """Processes and threads."""


class NginxLimits(LimitSettings):
    """nginx's."""

    memory: _Bound = 512
    """Memory in MB, swap included."""

    processes: _Processes = 512
    """Processes and threads."""


class KeepalivedLimits(LimitSettings):
    """keepalived's."""

    memory: _Bound = 64
    """Memory in MB, swap included."""

    processes: _Processes = 128
    """Processes and threads."""


class RegistryLimits(LimitSettings):
    """A replica's, or a cache's."""

    memory: _Bound = 1536
    """Memory in MB, swap included."""

    processes: _Processes = 1024
    """Processes and threads."""


class FileRegistryLimits(LimitSettings):
    """Those of a registry that keeps files."""

    memory: _Bound = 256
    """Memory in MB, swap included."""

    processes: _Processes = 512
    """Processes and threads."""


class LimitsSettings(Model):
    """What each container of Berth's services may take of its machine."""

    minio: MinioLimits = MinioLimits()
    """MinIO, at least 512 MB: it takes about 145 requests at once for each GB, and refuses the others (503)."""

    nginx: NginxLimits = NginxLimits()
    """nginx of a balancer."""

    keepalived: KeepalivedLimits = KeepalivedLimits()
    """keepalived of a balancer."""

    registry: RegistryLimits = RegistryLimits()
    """One replica; each upload of a blob that is under way takes up to 20 MB."""

    cache: RegistryLimits = RegistryLimits()
    """One cache of one upstream."""

    seed: FileRegistryLimits = FileRegistryLimits()
    """The seed registry, on the deploy host."""

    upstream: FileRegistryLimits = FileRegistryLimits()
    """The stand-in for a public registry, in a lab that asks for it."""


class PinSource(Model):
    """Where pins come from: for people, and for the sentence that says where a missing image is to be had."""

    stack: v.Text = Field(examples=["staging"])
    """The stack that proved what is pinned."""

    time: v.Text = Field(examples=["2026-11-22T10:41:07Z"])
    """When it was promoted."""

    commit: v.Text = Field(default="", examples=["9332128e0c1f"])
    """Berth's commit with which that stack was last verified."""


class PinnedImages(Model):
    """What each service runs: the digest of an image that Berth built, or a whole name with digest."""

    registry: v.Pin | None = Field(default=None, examples=["sha256:" + "0" * 64])
    """Image of the registry."""

    object_store: v.Pin | None = None
    """Image of the object store."""

    nginx: v.Pin | None = None
    """Image of nginx."""

    keepalived: v.Pin | None = None
    """Image of keepalived."""

    cache: v.Pin | None = None
    """Image of the caches."""


class PinSettings(Model):
    """What another stack has proved. `berth promote` writes it."""

    source: PinSource = Field(alias="from")
    """Where the pins come from."""

    images: PinnedImages = PinnedImages()
    """Images of the services."""

    repositories: dict[v.Tagged, v.Digest] = Field(default={}, examples=[{"team/app:1": "sha256:" + "0" * 64}])
    """Digest of each promoted tag in the stack's own registry; `berth verify` asks for them."""


def _lab(value: object) -> object:
    """`true` and `false` have been turned into an object and nothing before."""
    if not isinstance(value, dict):
        raise v.refused("is neither true, false nor an object.", "Write `true` for a lab, or leave the key out.")
    return value


class StackFile(Model):
    """The settings that stand in a stack file, each as `berth:<key>` under `config:`."""

    lab: Annotated[LabSettings | None, BeforeValidator(_lab, json_schema_input_type=bool | LabSettings | None)] = None
    """true: Berth makes the nodes itself, as containers on the deploy host, and `berth down` removes all of them."""

    virtualbox: VirtualBoxSettings | None = None
    """Berth makes the nodes whose provider is virtualbox, with VBoxManage on the deploy host."""

    registry: RegistrySettings
    """The registry: its name, ports and users."""

    nodes: tuple[NodeSettings, ...]
    """The machines, in the order in which they are changed."""

    load_balancer: LoadBalancerSettings
    """Where the registry answers."""

    object_store: ObjectStoreSettings = ObjectStoreSettings()
    """Where the registry's blobs are kept."""

    etcd: EtcdClusterSettings = EtcdClusterSettings()
    """etcd on its nodes."""

    swarm: SwarmSettings = SwarmSettings()
    """Docker Swarm on its nodes."""

    docker: DockerSettings = DockerSettings()
    """The Docker daemons of the nodes."""

    images: ImageSettings = ImageSettings()
    """Where the services' images come from."""

    limits: LimitsSettings = LimitsSettings()
    """What the services' containers may take of their machines."""

    kolla: KollaSettings = KollaSettings()
    """OpenStack Kolla."""

    firewall: Literal["berth", "external"] = "berth"
    """berth: a table of nftables on each node lets in who is meant to reach the ports of Berth's services. external:
    you keep strangers out, and Berth writes no rules."""

    pins: PinSettings | None = None
    """What another stack has proved, as `berth promote` wrote it."""

    node_defaults: NodeConfig | None = None
    """What the nodes' systems are set up with where a node's own `config` says nothing else."""

    @property
    def store_endpoint(self) -> str:
        """host:port at which any living server of the object store answers the nodes."""
        return naming.endpoint(self.load_balancer.address, self.object_store.endpoint_port)

    @property
    def front_address(self) -> str:
        """The balancer's address as the deploy host reaches it: a NAT network is open at forwarded ports only."""
        return naming.FORWARDED_HOST if self.virtualbox else self.load_balancer.address

    @property
    def store_from_deploy_host(self) -> str:
        """host:port at which the object store answers the deploy host."""
        return naming.endpoint(self.front_address, self.object_store.endpoint_port)

    @property
    def deploy_host_addresses(self) -> tuple[str, ...]:
        """Where the deploy host's connections come from, as far as it is known: its addresses as the nodes see them."""
        found = [self.images.seed.address]
        if self.lab is not None:
            found.append(self.lab.gateway)
        if self.virtualbox is not None:
            # VirtualBox sends what comes by a forwarded port from one of the two, depending on its version.
            found.append(naming.lab_gateway(IPv4Network(self.virtualbox.subnet)))
        return tuple(address for address in found if address)

    def uses_store(self, node: NodeSettings) -> bool:
        """Whether a service on the node talks to the object store's servers themselves."""
        return bool({"object-store", "load-balancer", "registry"} & set(node.roles))

    def with_role(self, role: Role) -> tuple[NodeSettings, ...]:
        """The nodes that have this role, in the file's order."""
        return tuple(node for node in self.nodes if role in node.roles)

    def has_own_etcd(self, node: NodeSettings) -> bool:
        """Whether the node's system is installed with an etcd that Berth leaves alone."""
        config = resolve(self.node_defaults, node.config)
        return config is not None and config.etcd is not None

    def docker_on(self, node: NodeSettings) -> DockerSettings:
        """The daemon's settings on one node: what the file leaves open depends on what the node is for."""
        kolla = not set(KOLLA_ROLES).isdisjoint(node.roles)
        # Whose firewall is somebody else's, publishes ports by processes and cannot keep containers apart.
        own_rules = self.docker.extra.get("iptables", True) is not False
        here = {
            "live_restore": not node.in_swarm,
            "no_new_privileges": not kolla and not node.in_swarm,
            "userland_proxy": kolla or not own_rules,
            "icc": kolla or not own_rules,
        }
        return self.docker.model_copy(
            update={name: value for name, value in here.items() if getattr(self.docker, name) is None}
        )


class Settings(StackFile):
    """What the program is built from: the stack file's settings, its name and the users' own passwords."""

    stack: str
    """Name of the stack, such as dev."""

    user_passwords: dict[str, tuple[SecretText, ...]] = Field(default_factory=dict, repr=False, exclude=True)
    """Passwords of the users whose `password` is `configured`: one, or the old and the new one."""

    upstream_passwords: dict[str, SecretText] = Field(default_factory=dict, repr=False, exclude=True)
    """Passwords at the upstreams that have a `user`."""

    node_secrets: tuple[SecretText, ...] = Field(default=(), repr=False, exclude=True)
    """Hashed passwords of the nodes' accounts, and texts of their secret files, by name."""
