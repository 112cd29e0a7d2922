"""Virtual machines that Berth makes with VBoxManage on the deploy host, on a NAT network of their own.

In order: the network; for each machine its configuration drive, the machine (started from the live ISO), the
installation over SSH, and the start from its own disk. Nothing here is asked for in a preview. What the deploy host
runs for it is in `vboxmanage`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from ipaddress import IPv4Network

import pulumi
import pulumi_command as command
import pulumi_tls as tls

from components.lib.host_files.connection import SshEndpoint
from components.lib.host_files.shell import as_root
from components.node_config.machine import machines
from components.nodes.install import INSTALL, configuration_of, digest, disk_facts, lines, with_configuration
from components.nodes.node import Node
from components.nodes.provider import Stage
from components.nodes.ssh_bootstrap import Nic, SshBootstrap, live
from components.nodes.vboxmanage.drive import Drive
from components.nodes.vboxmanage.machine import Machine
from components.nodes.vboxmanage.network import Network
from config import naming, paths
from config.model.nodes import NodeSettings, VirtualBoxSettings
from config.model.stack import Settings

# A live system unpacks itself into memory before it answers, on a busy machine for minutes.
BOOT_SECONDS = 600
# VirtualBox's first SATA disk in the machine.
DISK = "/dev/sda"


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
        self._key = tls.PrivateKey(f"{stage.name}-ssh-key", algorithm="ED25519", opts=self._stage.options(protect=True))
        self.private_key = pulumi.Output.from_input(self._key.private_key_openssh)
        network = Network(
            naming.virtual_network(self._stack),
            virtualbox.subnet,
            # The seed registry listens on the deploy host, which is the network's second address.
            loopback=f"{naming.FORWARDED_HOST}=2",
            forwards=forwards(stage.settings),
        )
        self.network = self._made(f"{stage.name}-network", "network", network)

    def node(self, settings: NodeSettings) -> Node:
        """One machine, from nothing to the system on its own disk that answers with the key made for it."""
        name, protect = f"{self._stage.name}-{settings.name}", not settings.virtualbox.replace or None
        host_key = tls.PrivateKey(f"{name}-host-key", algorithm="ED25519", opts=self._stage.options(protect=protect))
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
        configuration = configuration_of(self._configs[settings.name], contact, self._stage.settings)
        wanted = pulumi.Output.all(digest(configuration), host_key.public_key_openssh).apply(
            lambda known: self._machine(settings, *known)
        )
        file = self._drive_file(settings)
        drive = self._made(f"{name}-drive", "drive", contact.apply(lambda keys: Drive(file, live(settings.name, keys))))
        # The drive is read at the machine's start.
        machine = self._made(f"{name}-machine", "machine", wanted, self.network, drive)
        # All inputs of the machine, so that it is looked after again whenever the machine changes.
        facts = wanted.apply(lambda known: asdict(known) | disk_facts(DISK, self._virtualbox.installer, wipe=True))
        installing = command.remote.Command(
            f"{name}-install",
            connection=access.connection(),
            create=as_root(INSTALL, "install", user=access.user),
            stdin=with_configuration(facts.apply(lines), configuration),
            triggers=[machine.id],
            add_previous_output_in_env=False,
            opts=self._stage.options(machine),
        )
        started = command.local.Command(
            name,
            create=_program("machine", "boot"),
            stdin=wanted.apply(_document),
            triggers=[machine.id],
            add_previous_output_in_env=False,
            # What was installed can be started only now.
            opts=self._stage.options(installing),
        )
        return Node(settings=settings, access=access, key_file=str(paths.ssh_key_file(self._stack)), machine=started)

    def _made(
        self,
        name: str,
        part: str,
        wanted: pulumi.Input[Network | Drive | Machine],
        *depends_on: pulumi.Resource,
    ) -> command.local.Command:
        """What is there as long as its resource is."""
        described: pulumi.Output[Network | Drive | Machine] = pulumi.Output.from_input(wanted)
        return command.local.Command(
            name,
            create=_program(part, "apply"),
            delete=_program(part, "remove"),
            stdin=described.apply(_document),
            add_previous_output_in_env=False,
            opts=self._stage.options(*depends_on),
        )

    def _drive_file(self, settings: NodeSettings) -> str:
        return f"{self._virtualbox.directory}/{naming.virtual_machine(self._stack, settings.name)}.config.iso"

    def _machine(self, settings: NodeSettings, config: str, host_key: str) -> Machine:
        own, common = settings.virtualbox, self._virtualbox
        return Machine(
            name=naming.virtual_machine(self._stack, settings.name),
            node=settings.name,
            setting=self._stage.setting(settings, "virtualbox"),
            directory=common.directory,
            network=naming.virtual_network(self._stack),
            mac=naming.virtual_mac(self._stack, settings.name),
            memory=own.memory or common.memory,
            cpus=own.cpus or common.cpus,
            disk=(own.disk or common.disk) * 1024,
            iso=common.iso,
            sha256=common.sha256,
            drive=self._drive_file(settings),
            replace=own.replace,
            port=settings.ssh.port,
            seconds=BOOT_SECONDS,
            config=config,
            host_key=host_key.strip(),
        )

    def _contact(self, settings: NodeSettings, host_key: str, host_key_public: str, authorized: str) -> SshBootstrap:
        nic = Nic(
            address=f"{settings.address}/{self._subnet.prefixlen}",
            gateway=str(self._subnet.network_address + 1),
            mac=naming.virtual_mac(self._stack, settings.name),
        )
        return SshBootstrap(host_key, host_key_public, authorized, nic)


def _program(part: str, verb: str) -> str:
    """The command line that runs `vboxmanage` here, from the checkout: it names no file that a run may have lost."""
    return f"exec python3 -m components.nodes.vboxmanage {part} {verb}"


def _document(wanted: Network | Drive | Machine) -> str:
    """A value a line, so that a preview shows which one changes."""
    return json.dumps(asdict(wanted), indent=1)
