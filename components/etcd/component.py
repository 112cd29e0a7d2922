"""etcd's members: files on all nodes at once, then one member after the other, then the cluster as a whole."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pulumi
import pulumi_command as command

from components.certificates.pem import Pem
from components.etcd.args import EtcdArgs
from components.etcd.render import (
    COREOS,
    PACKAGED,
    STAGE,
    TEXTS,
    Cluster,
    Member,
    System,
    entries,
    reconciliation,
    start_digest,
)
from components.lib.host_files.bundle import Entry
from components.lib.host_files.host_state import host_state
from components.lib.host_files.shell import as_root
from components.lib.service.directives import SERVICE_SCRIPT
from components.nodes.node import Node
from config import naming
from config.model.node_os import resolve

SCRIPTS = (SERVICE_SCRIPT, Path(__file__).parent / "scripts" / "etcd.sh")


class Etcd(pulumi.ComponentResource):
    """One member on every node of the role; without such nodes there is nothing of it."""

    def __init__(self, name: str, args: EtcdArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:etcd:Etcd", name, None, opts)
        self._name, self._args = name, args
        # Where the nodes' systems are installed with an etcd of their own, it is theirs.
        nodes = tuple(node for node in args.nodes.with_role("etcd") if not args.settings.has_own_etcd(node.settings))
        clusters = {node.name: self._cluster(node, nodes) for node in nodes}
        files: list[pulumi.Resource] = [self._files(node, clusters[node.name]) for node in nodes]
        before: list[pulumi.Resource] = []
        for node in nodes:
            # One member after the other, each healthy again before the next is changed.
            before = [self._reconcile(node, clusters[node.name], [*files, *before])]
        if nodes:
            self._converge(nodes[0], clusters[nodes[0].name], before)
        self.register_outputs({})

    def _cluster(self, own: Node, nodes: tuple[Node, ...]) -> Cluster:
        settings = self._args.settings
        return Cluster(
            own=Member(own.name, own.address),
            members=[Member(node.name, node.address) for node in nodes],
            token=f"berth-{settings.stack}",
            host_name=naming.etcd_name(settings.registry.name),
            client_port=settings.etcd.client_port,
            peer_port=settings.etcd.peer_port,
            data_dir=settings.etcd.data_dir,
            heartbeat=settings.etcd.heartbeat_interval,
            system=self._system(own),
        )

    def _system(self, node: Node) -> System:
        config = resolve(self._args.settings.node_defaults, node.settings.config)
        return COREOS if config is not None and config.operating_system in ("coreos", "flatcar") else PACKAGED

    def _files(self, node: Node, cluster: Cluster) -> pulumi.Resource:
        name, args = f"{self._name}-{node.name}-files", self._args
        certificate = args.authority.issue(
            f"{self._name}-{node.name}",
            common_name=node.name,
            dns_names=[node.name, cluster.host_name, "localhost"],
            addresses=[node.address, "127.0.0.1"],
            # A member is the others' client, and its own.
            uses=("digital_signature", "server_auth", "client_auth"),
            parent=self,
        )
        return host_state(
            name,
            stack=args.settings.stack,
            stage=STAGE,
            node=node,
            entries=args.authority.pem(certificate).apply(partial(_entries, cluster)),
            scripts=SCRIPTS,
            opts=node.options(self),
        )

    def _reconcile(self, node: Node, cluster: Cluster, after: list[pulumi.Resource]) -> pulumi.Resource:
        text, user = TEXTS["reconcile_member"], node.access.user
        known = pulumi.Output.all(self._args.authority.certificate, node.machine.id if node.machine else "")
        return command.remote.Command(
            f"{self._name}-{node.name}",
            connection=node.access.connection(),
            create=as_root(text, "first", user=user),
            update=as_root(text, "again", user=user),
            delete=as_root(TEXTS["leave"], user=user),
            stdin=known.apply(partial(_reconciliation, cluster)),
            add_previous_output_in_env=False,
            opts=node.options(self, *after),
        )

    def _converge(self, node: Node, cluster: Cluster, after: list[pulumi.Resource]) -> pulumi.Resource:
        return command.remote.Command(
            f"{self._name}-converged",
            connection=node.access.connection(),
            create=as_root(TEXTS["converge"], user=node.access.user),
            stdin=reconciliation(cluster, "", ""),
            add_previous_output_in_env=False,
            opts=node.options(self, *after),
        )


def _entries(cluster: Cluster, pem: Pem) -> list[Entry]:
    return entries(cluster, pem)


def _reconciliation(cluster: Cluster, known: list[str]) -> str:
    ca, machine = known
    return reconciliation(cluster, start_digest(cluster, ca), machine)
