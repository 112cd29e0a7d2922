"""Virtual machines that Berth makes with VBoxManage on the deploy host, on a NAT network of their own.

In order: the network; for each machine its configuration drive, the machine (started from the live ISO), the
installation over SSH, and the start from its own disk. Nothing here is asked for in a preview.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network

import pulumi
import pulumi_command as command
import pulumi_tls as tls

from components.lib.host_files.connection import SshEndpoint
from components.lib.host_files.shell import as_caller, as_root
from components.node_config.machine import Secrets, machines
from components.nodes.install import INSTALL, digest, disk_directives, lines, script, with_configuration, yes
from components.nodes.node import Node
from components.nodes.provider import Stage
from components.nodes.ssh_bootstrap import Nic, SshBootstrap, installed, live
from config import naming, paths
from config.model.nodes import NodeSettings, VirtualBoxSettings
from config.model.stack import Settings

# A live system unpacks itself into memory before it answers, on a busy machine for minutes.
BOOT_SECONDS = 600
# VirtualBox's first SATA disk in the machine.
DISK = "/dev/sda"
NETWORK, MACHINE, DRIVE = script("vbox.sh", "network.sh"), script("vbox.sh", "machine.sh"), script("drive.sh")


def forwards(settings: Settings) -> list[str]:
    """The rules by which the deploy host gets into the network, in VBoxManage's words."""

    def rule(name: str, port: int, address: str, at: int) -> str:
        return f"{name}:tcp:[{naming.FORWARDED_HOST}]:{port}:[{address}]:{at}"

    made = [node for node in settings.nodes if node.provider == "virtualbox"]
    front = settings.load_balancer.address
    ports = {
        "registry": settings.registry.port,
        "mirror": settings.registry.mirror_port,
        "object-store": settings.object_store.endpoint_port,
    }
    return [
        *(rule(f"ssh-{node.name}", node.ssh.port, node.address, 22) for node in made),
        *(rule(name, port, front, port) for name, port in ports.items()),
    ]


class VirtualBox:
    """The provider of virtual machines; a part of `Nodes`, which is their parent."""

    def __init__(self, stage: Stage, virtualbox: VirtualBoxSettings) -> None:
        self._stage, self._virtualbox = stage, virtualbox
        self._stack = stage.settings.stack
        self._subnet = IPv4Network(virtualbox.subnet)
        self._configs = {machine.name: machine for machine in machines(stage.settings)}
        # A disk that is kept opens to these keys only, so they are kept with it.
        self._key = tls.PrivateKey(f"{stage.name}-ssh-key", algorithm="ED25519", opts=self._options(protect=True))
        self.private_key = pulumi.Output.from_input(self._key.private_key_openssh)
        self.network = command.local.Command(
            f"{stage.name}-network",
            create=as_caller(NETWORK, "apply"),
            delete=as_caller(NETWORK, "remove"),
            stdin=lines(
                {
                    "name": naming.virtual_network(self._stack),
                    "subnet": virtualbox.subnet,
                    # The seed registry listens on the deploy host, which is the network's second address.
                    "loopback": f"{naming.FORWARDED_HOST}=2",
                }
            )
            + "".join(f"forward {rule}\n" for rule in forwards(stage.settings)),
            add_previous_output_in_env=False,
            opts=self._options(),
        )

    def node(self, settings: NodeSettings) -> Node:
        """One machine, from nothing to the system on its own disk that answers with the key made for it."""
        name, own = f"{self._stage.name}-{settings.name}", settings.virtualbox
        machine_name = naming.virtual_machine(self._stack, settings.name)
        host_key = tls.PrivateKey(
            f"{name}-host-key", algorithm="ED25519", opts=self._options(protect=not own.replace or None)
        )
        access = SshEndpoint(
            host=settings.ssh.host,
            port=settings.ssh.port,
            user=settings.ssh.user,
            host_key=host_key.public_key_openssh,
            private_key=self._key.private_key_openssh,
        )
        contact = pulumi.Output.all(
            host_key.private_key_openssh, host_key.public_key_openssh, self._key.public_key_openssh
        ).apply(lambda keys: self._contact(settings, *keys))
        configuration = pulumi.Output.all(contact, self._stage.settings.node_secrets).apply(
            lambda known: installed(replace(self._configs[settings.name], secrets=Secrets(*known[1])), known[0])
        )
        drive_file = f"{self._virtualbox.directory}/{machine_name}.config.iso"
        drive = command.local.Command(
            f"{name}-drive",
            create=as_caller(DRIVE, "apply", drive_file),
            delete=as_caller(DRIVE, "remove", drive_file),
            stdin=contact.apply(lambda known: live(settings.name, known)),
            add_previous_output_in_env=False,
            opts=self._options(),
        )
        disk_megabytes = (own.disk or self._virtualbox.disk) * 1024
        stdin = pulumi.Output.all(digest(configuration), host_key.public_key_openssh).apply(
            lambda known: lines(
                {
                    "name": machine_name,
                    "node": settings.name,
                    "setting": f"berth:nodes[{self._stage.settings.nodes.index(settings)}].virtualbox",
                    "directory": self._virtualbox.directory,
                    "network": naming.virtual_network(self._stack),
                    "mac": naming.virtual_mac(self._stack, settings.name),
                    "memory": own.memory or self._virtualbox.memory,
                    "cpus": own.cpus or self._virtualbox.cpus,
                    "disk": disk_megabytes,
                    "iso": self._virtualbox.iso,
                    "sha256": self._virtualbox.sha256,
                    "drive": drive_file,
                    "replace": yes(own.replace),
                    "port": settings.ssh.port,
                    "seconds": BOOT_SECONDS,
                    "config": known[0],
                    "host-key": known[1].strip(),
                }
            )
        )
        machine = command.local.Command(
            f"{name}-machine",
            create=as_caller(MACHINE, "apply"),
            delete=as_caller(MACHINE, "remove"),
            stdin=stdin,
            add_previous_output_in_env=False,
            # The drive is read at the machine's start.
            opts=self._options(self.network, drive),
        )
        # All inputs of the machine, so that it is looked after again whenever the machine changes.
        facts = stdin.apply(lambda known: known + disk_directives(DISK, self._virtualbox.installer, wipe=True))
        installing = command.remote.Command(
            f"{name}-install",
            connection=access.connection(),
            create=as_root(INSTALL, "install", user=access.user),
            stdin=with_configuration(facts, configuration),
            triggers=[machine.id],
            add_previous_output_in_env=False,
            opts=self._options(machine),
        )
        started = command.local.Command(
            name,
            create=as_caller(MACHINE, "boot"),
            stdin=stdin,
            triggers=[machine.id],
            add_previous_output_in_env=False,
            # What was installed can be started only now.
            opts=self._options(installing),
        )
        return Node(settings=settings, access=access, key_file=str(paths.ssh_key_file(self._stack)), machine=started)

    def _contact(self, settings: NodeSettings, host_key: str, host_key_public: str, authorized: str) -> SshBootstrap:
        nic = Nic(
            address=f"{settings.address}/{self._subnet.prefixlen}",
            gateway=str(self._subnet.network_address + 1),
            mac=naming.virtual_mac(self._stack, settings.name),
        )
        return SshBootstrap(host_key, host_key_public, authorized, nic)

    def _options(self, *depends_on: pulumi.Resource, protect: bool | None = None) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self._stage.parent, depends_on=depends_on or None, protect=protect)
