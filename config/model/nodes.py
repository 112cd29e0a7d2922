"""Nodes: roles, providers, SSH."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from config import naming
from config.fields import common as v
from config.model.base import Model
from config.model.node_os import NodeConfig

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


_Memory = Annotated[int, Field(strict=True, ge=2048, le=1048576)]
_Cpus = Annotated[int, Field(strict=True, ge=1, le=64)]
_Disk = Annotated[int, Field(strict=True, ge=10, le=65536)]


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


class InstallerSettings(Model):
    """Options of the live system's own installer (coreos-install, flatcar-install)."""

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
    """Resources of one virtual machine that differ from the others'."""

    memory: _Memory | None = None
    """Memory in MB. Default: `berth:virtualbox.memory`."""

    cpus: _Cpus | None = None
    """Processors. Default: `berth:virtualbox.cpus`."""

    disk: _Disk | None = None
    """Size of the disk in GiB; it can grow. Default: `berth:virtualbox.disk`."""

    replace: v.Flag = False
    """Allow Berth to lose the disk: when it must be a smaller one, when the machine's configuration changed (it is
    installed anew then), when it leaves the stack."""


class SshSettings(Model):
    """The SSH endpoint of a node, as the deploy host reaches it."""

    host: v.Host = Field(default="", examples=["127.0.0.1"])
    """Host to connect to. Default: the node's address; another one with port forwarding."""

    port: v.Port = 22
    """TCP port of sshd on that host."""

    user: v.Account = "root"
    """Account to log in with: root, or one that may use sudo without a password."""

    key_file: v.KeyFile | None = Field(default=None, examples=["~/.ssh/berth"])
    """Private key on the deploy host: a full path or one that begins with `~/`. Not for lab nodes."""

    host_key: v.HostKey | None = Field(default=None, examples=["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA..."])
    """The node's own public key; a machine with another one is refused. Not for lab nodes."""

    @property
    def key_path(self) -> Path | None:
        """The private key's path with `~` replaced by the home directory."""
        return None if self.key_file is None else Path(self.key_file).expanduser()


class LiveSettings(Model):
    """The SSH endpoint of the live system that a machine is installed from."""

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
    """Allow Berth to overwrite that disk."""

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
    """Roles of the node. An empty list: Berth configures its Docker daemon only."""

    provider: Literal["lab", "virtualbox", "bare-metal"] = "bare-metal"
    """lab: a container made by Berth. virtualbox: a virtual machine, made by Berth with `berth:virtualbox`.
    bare-metal: exists already. Default: lab with `berth:lab: true`, virtualbox with `berth:virtualbox`, otherwise
    bare-metal."""

    ssh: SshSettings = SshSettings()
    """The SSH endpoint, as the deploy host reaches it."""

    config: NodeConfig | None = None
    """Configuration of the node's operating system, over `berth:nodeDefaults`; `berth node-config` prints it."""

    virtualbox: MachineSettings = MachineSettings()
    """The virtual machine, where Berth makes it."""

    install: InstallSettings | None = None
    """Install the machine (bare-metal) from its live system. Default: it runs already."""

    @property
    def in_swarm(self) -> bool:
        """Whether the node is a manager or a worker of the swarm."""
        return "swarm-manager" in self.roles or "swarm-worker" in self.roles
