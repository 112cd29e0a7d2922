"""The Docker daemon of every node, one node after the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pulumi
import pulumi_docker as docker

from components import names
from components.docker_daemon.args import DockerDaemonsArgs
from components.docker_daemon.render import entries
from components.nodes import Node
from components.remote import MACHINE_SCRIPT, Block, Entry, File, host_state, ssh_options
from config import Settings, naming

STAGE = "docker-daemon"
SCRIPTS = [MACHINE_SCRIPT, *(Path(__file__).parent / "scripts" / name for name in ("store.sh", "daemon.sh"))]


@dataclass(frozen=True)
class DockerNode:
    """A node whose Docker is ready for containers."""

    node: Node
    provider: docker.Provider
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
        options.provider = self.provider
        return options


class DockerDaemons(pulumi.ComponentResource):
    """Each node's Docker: trust, names and daemon settings as one bundle, and a provider for its containers."""

    nodes: dict[str, DockerNode]

    def __init__(self, name: str, args: DockerDaemonsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:docker-daemon:DockerDaemons", name, None, opts)
        self.nodes = {}
        before: tuple[pulumi.Resource, ...] = ()
        for node in args.nodes.all:
            state = host_state(
                f"{name}-{node.name}",
                stack=args.settings.stack,
                stage=STAGE,
                node=node,
                entries=args.authority.certificate.apply(partial(_entries, args.settings, node)),
                scripts=SCRIPTS,
                # One daemon at a time: when one does not come back, the nodes after it are not touched.
                opts=node.options(self, *args.roll_call.done, *before),
            )
            before = (state,)
            access = node.access
            provider = docker.Provider(
                f"{name}-{node.name}-docker",
                host=f"ssh://{access.user}@{access.host}:{access.port}",
                ssh_opts=ssh_options(node.key_file, args.deploy_host.known_hosts_file),
                # Nodes that do not exist yet are no reason to fail a preview.
                disable_docker_daemon_check=True,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[state, args.deploy_host.files]),
            )
            self.nodes[node.name] = DockerNode(
                node=node,
                provider=provider,
                ready=state,
                live_restore=args.settings.docker_on(node.settings).live_restore is not False,
            )
        self.register_outputs({})

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
