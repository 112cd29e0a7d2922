"""The Docker daemon of every node, in waves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pulumi
import pulumi_docker as docker

from components.docker_daemon.args import DockerDaemonsArgs
from components.docker_daemon.render import entries
from components.lib import names
from components.lib.host_files.bundle import Block, Entry, File
from components.lib.host_files.connection import ssh_options
from components.lib.host_files.host_state import host_state
from components.lib.host_files.shell import MACHINE_SCRIPT
from components.nodes.node import Node
from config import naming
from config.model.stack import Settings
from config.rollout import waves

STAGE = "docker-daemon"
SCRIPTS = [MACHINE_SCRIPT, *(Path(__file__).parent / "scripts" / name for name in ("store.sh", "daemon.sh"))]


@dataclass(frozen=True)
class DockerNode:
    """A node whose Docker is ready for containers."""

    node: Node
    provider: Callable[[], docker.Provider]
    """For the node's containers; made when the first container is, for each provider is a process of its own."""
    ready: pulumi.Resource
    live_restore: bool
    """Containers outlive the daemon."""

    @property
    def restart(self) -> str:
        """What brings a container back. A daemon without live-restore that was killed stops, at its next start, what it
        finds running, and takes it for stopped by hand: `unless-stopped` would leave it so."""
        return "unless-stopped" if self.live_restore else "always"

    def options(
        self, parent: pulumi.Resource, *depends_on: pulumi.Resource, delete_before_replace: bool = False
    ) -> pulumi.ResourceOptions:
        """Options for something that lives in this node's Docker."""
        options = self.node.options(parent, self.ready, *depends_on, delete_before_replace=delete_before_replace)
        options.provider = self.provider()
        return options


class DockerDaemons(pulumi.ComponentResource):
    """Each node's Docker: trust, names and daemon settings as one bundle, and a provider where it gets containers."""

    nodes: dict[str, DockerNode]

    def __init__(self, name: str, args: DockerDaemonsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:docker-daemon:DockerDaemons", name, None, opts)
        self._name, self._args = name, args
        by_name = {node.name: node for node in args.nodes.all}
        states: dict[str, pulumi.Resource] = {}
        before: list[pulumi.Resource] = []
        for wave in waves(args.settings.nodes, args.settings.docker.rollout):
            # When a daemon does not come back, the waves after it are not touched.
            made = [self._state(by_name[one], before) for one in wave]
            states.update(zip(wave, made, strict=True))
            before = made
        self.nodes = {node.name: self._docker_node(node, states[node.name]) for node in args.nodes.all}
        self.register_outputs({})

    def _state(self, node: Node, before: Sequence[pulumi.Resource]) -> pulumi.Resource:
        args = self._args
        return host_state(
            f"{self._name}-{node.name}",
            stack=args.settings.stack,
            stage=STAGE,
            node=node,
            entries=args.authority.certificate.apply(partial(_entries, args.settings, node)),
            scripts=SCRIPTS,
            opts=node.options(self, *args.after, *before),
        )

    def _docker_node(self, node: Node, ready: pulumi.Resource) -> DockerNode:
        return DockerNode(
            node=node,
            provider=cache(partial(self._docker_provider, node, ready)),
            ready=ready,
            live_restore=self._args.settings.docker_on(node.settings).live_restore is not False,
        )

    def _docker_provider(self, node: Node, ready: pulumi.Resource) -> docker.Provider:
        access, deploy_host = node.access, self._args.deploy_host
        return docker.Provider(
            f"{self._name}-{node.name}-docker",
            host=f"ssh://{access.user}@{access.host}:{access.port}",
            ssh_opts=ssh_options(node.key_file, deploy_host.known_hosts_file),
            # Nodes that do not exist yet are no reason to fail a preview.
            disable_docker_daemon_check=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[ready, deploy_host.files]),
        )

    def on(self, nodes: tuple[Node, ...]) -> tuple[DockerNode, ...]:
        """The given nodes with their Docker, in the same order."""
        return tuple(self.nodes[node.name] for node in nodes)


def _entries(settings: Settings, node: Node, ca: str) -> list[Entry]:
    registry = naming.endpoint(settings.registry.name, settings.registry.port)
    seed = naming.endpoint(settings.images.seed.address, settings.images.seed.port)
    result: list[Entry] = [File(f"{naming.certs_directory(host)}/ca.crt", ca) for host in (registry, seed)]
    hosts = names.hosts_of_nodes(settings)
    if hosts is not None:
        result.append(Block("/etc/hosts", hosts))
        if not node.keeps_hosts_file:
            begin, end = naming.hosts_marker(settings.stack)
            block = f"{begin}\n{hosts}{end}\n"
            result.append(File(f"/etc/berth/hosts.d/{settings.stack}.block", block))
    insecure = [registry] if settings.registry.insecure else []
    own = f"https://{settings.registry.mirror_endpoint}" if settings.registry.mirrored else None
    return [*result, *entries(settings.docker_on(node.settings), insecure, names.own_hosts(settings), own)]
