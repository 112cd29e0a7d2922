"""Machines that exist: as they are, or installed from the live CoreOS or Flatcar that runs on them.

In order, of those that are installed: all disks are looked at, then each machine is installed, started from its disk,
given its configuration (which is news only later) and asked whether it runs what was installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_command as command
import pulumi_tls as tls

from components.lib.host_files.bundle import Directive, Entry, File
from components.lib.host_files.connection import SshEndpoint
from components.lib.host_files.host_state import host_state
from components.lib.host_files.shell import as_caller, as_root
from components.lib.readiness.component import ASK, WAIT, Probe
from components.node_config.machine import Machine, machines
from components.nodes.install import INSTALL, configuration_of, digest, disk_facts, lines, script, with_configuration
from components.nodes.node import Node
from components.nodes.preprovisioned import Preprovisioned, public_half, read_key
from components.nodes.provider import Stage
from components.nodes.ssh_bootstrap import SshBootstrap, without_secrets
from config import naming
from config.model.nodes import InstallSettings, NodeSettings
from config.model.stack import Settings

STAGE = "node-config"
SCRIPTS = (ASK, Path(__file__).parent / "scripts" / "node_config.sh")
METAL, INSTALLED = script("metal.sh"), script("installed.sh")
USER_DATA = "/var/lib/coreos-install/user_data"
"""What CoreOS reads at each of its starts."""
OPEN_COPY = "/etc/berth/node-config"
"""The node's configuration for people, without its secrets."""
# The firmware of a server takes minutes; a live system that is meant to be there answers at once.
BOOT_SECONDS = 900
TIMEOUT_SECONDS = 60
# What a restarted node must be asked, and what is asked before the next one may restart.
SERVING_SECONDS = 300


@dataclass(frozen=True)
class _Bare:
    """A machine that is installed, its SSH endpoint, and the input of its scripts."""

    settings: NodeSettings
    install: InstallSettings
    access: SshEndpoint
    key: tls.PrivateKey
    facts: pulumi.Output[str]

    @property
    def again(self) -> list[str]:
        """A live system that was started anew shows another key: that is when a machine is installed again."""
        return [" ".join(self.install.live.host_key.split()[:2])]


class BareMetal:
    """The provider of machines without a hypervisor; a part of `Nodes`, which is their parent."""

    private_key = None

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._existing = Preprovisioned()
        self._configs = {machine.name: machine for machine in machines(stage.settings)}
        self._bare = {node.name: self._known(node, node.install) for node in stage.settings.nodes if node.install}
        # No disk is written before all of them were looked at.
        self._checks = [self._local(bare, "check", "check", bare.facts) for bare in self._bare.values()]
        self._before: tuple[pulumi.Resource, ...] = ()

    def node(self, settings: NodeSettings) -> Node:
        """The machine as the settings describe it, or installed and running from its disk."""
        bare = self._bare.get(settings.name)
        if bare is None:
            return self._existing.node(settings)
        contact = pulumi.Output.all(bare.key.private_key_openssh, bare.key.public_key_openssh).apply(
            lambda keys: SshBootstrap(keys[0], keys[1], public_half(_key_path(settings)))
        )
        machine = self._configs[settings.name]
        configuration = configuration_of(machine, contact, self._stage.settings)
        stdin = with_configuration(bare.facts, configuration)
        installing = self._local(bare, "install", "install", stdin, depends_on=self._checks)
        started = self._local(bare, "start", "restart", bare.facts, triggers=[installing.id])
        configured = self._configured(bare, machine, configuration, started)
        verified = self._verified(bare, machine, configuration, started, configured)
        if machine.system == "coreos":
            # One node at a time: the next one is only touched when this one is back.
            self._before = (verified,)
        return Node(
            settings=settings,
            access=bare.access,
            key_file=str(_key_path(settings)),
            machine=verified,
            survives_destroy=True,
        )

    def _known(self, settings: NodeSettings, install: InstallSettings) -> _Bare:
        name, ssh, live = f"{self._stage.name}-{settings.name}", settings.ssh, install.live
        # The machine shows this key as long as its disk is what it is.
        key = tls.PrivateKey(f"{name}-host-key", algorithm="ED25519", opts=self._stage.options(protect=True))
        access = SshEndpoint(
            host=ssh.host or settings.address,
            port=ssh.port,
            user=ssh.user,
            host_key=key.public_key_openssh,
            private_key=pulumi.Output.secret(read_key(_key_path(settings))),
        )
        fixed = lines(
            {
                "node": settings.name,
                "setting": self._stage.setting(settings, "install"),
                "host": access.host,
                "port": access.port,
                "user": access.user,
                "live_host": live.host or access.host,
                "live_port": live.port,
                "live_user": live.user,
                "live_host_key": live.host_key,
                "key": ssh.key_file,
                "seconds": BOOT_SECONDS,
                "timeout": TIMEOUT_SECONDS,
                "installed": "refused",
            }
            | disk_facts(install.disk, install.installer, wipe=install.wipe)
        )
        return _Bare(
            settings,
            install,
            access,
            key,
            key.public_key_openssh.apply(lambda public: fixed + lines({"host_key": public.strip()})),
        )

    def _local(
        self,
        bare: _Bare,
        part: str,
        verb: str,
        stdin: pulumi.Output[str],
        triggers: Sequence[pulumi.Input[str]] = (),
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> command.local.Command:
        """A step of the installation; what is set for it later is news for the next installation only."""
        over_there = as_root(INSTALL, verb, user=bare.install.live.user)
        return command.local.Command(
            f"{self._stage.name}-{bare.settings.name}-{part}",
            create=as_caller(METAL, part, over_there),
            stdin=stdin,
            triggers=[*(triggers or bare.again)],
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions.merge(
                self._stage.options(*depends_on), pulumi.ResourceOptions(ignore_changes=["create", "stdin"])
            ),
        )

    def _configured(
        self, bare: _Bare, machine: Machine, configuration: pulumi.Output[str], started: pulumi.CustomResource
    ) -> pulumi.CustomResource:
        """The configuration as a bundle: the preview shows what of it is no secret."""
        settings = self._stage.settings
        read_at_start = machine.system == "coreos"

        def entries(text: str) -> list[Entry]:
            found: list[Entry] = [File(OPEN_COPY, without_secrets(machine))]
            if read_at_start:
                found.append(File(USER_DATA, text, mode="0600"))
                found.append(Directive("reboot", ["yes" if bare.install.reboot else "no"]))
                found.append(Directive("setting", [self._stage.setting(bare.settings, "install")]))
                found += [Directive("probe", probe.line().split("\t")) for probe in _others(settings, bare.settings)]
            return found

        return host_state(
            f"{self._stage.name}-{bare.settings.name}-configuration",
            stack=settings.stack,
            stage=STAGE,
            node=Node(bare.settings, bare.access, "", machine=started, survives_destroy=True),
            entries=configuration.apply(entries),
            scripts=SCRIPTS,
            opts=self._stage.options(started, *(self._before if read_at_start else ())),
        )

    def _verified(
        self,
        bare: _Bare,
        machine: Machine,
        configuration: pulumi.Output[str],
        started: pulumi.CustomResource,
        configured: pulumi.CustomResource,
    ) -> command.local.Command:
        """The machine itself, to everything that is on it: it runs from its disk, with its configuration in force."""
        user, text = bare.access.user, INSTALLED
        probes = [*_others(self._stage.settings, bare.settings), *_own(self._stage.settings, bare.settings)]
        asked = "".join(f"probe\t{probe.line()}\n" for probe in probes)
        known = {"system": machine.system, "stack": self._stage.settings.stack}
        # What is new to CoreOS may have to be put into force.
        current = digest(configuration) if machine.system == "coreos" else pulumi.Output.from_input("")
        stdin = pulumi.Output.all(bare.facts, current).apply(
            lambda two: two[0] + lines(known | {"config": two[1] or None}) + asked
        )
        return command.local.Command(
            f"{self._stage.name}-{bare.settings.name}",
            create=as_caller(
                METAL,
                "verify",
                as_root(text, "look", user=user),
                as_root(text, "restart", user=user),
                as_root(WAIT, str(SERVING_SECONDS), user=user),
            ),
            stdin=stdin,
            triggers=[started.id],
            add_previous_output_in_env=False,
            opts=self._stage.options(started, configured),
        )


def _key_path(settings: NodeSettings) -> Path:
    return settings.ssh.key_path or Path()


def _others(settings: Settings, node: NodeSettings) -> list[Probe]:
    """The registry under its name, and every MinIO server but this node's: with them the node may be away.

    A node that talks to no server of the store's is let in to none, and costs the store nothing.
    """
    registry = settings.registry
    authority = f"{naming.certs_directory(naming.endpoint(registry.name, registry.port))}/ca.crt"
    front = f"{registry.name}:{registry.port}:{settings.load_balancer.address}"
    return [
        Probe(f"https://{registry.name}:{registry.port}/v2/", status=401, ca_file=authority, resolve=front),
        *(
            Probe(f"https://{other.address}:{settings.object_store.port}/minio/health/cluster", ca_file=authority)
            for other in settings.with_role("object-store")
            if other.name != node.name and settings.uses_store(node)
        ),
    ]


def _own(settings: Settings, node: NodeSettings) -> list[Probe]:
    """What must be back on a node that was restarted."""
    if "registry" not in node.roles:
        return []
    return [Probe(f"http://127.0.0.1:{naming.REGISTRY_HEALTH_PORT}/debug/health")]
