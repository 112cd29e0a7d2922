"""The balancers, the address that they share, and their readiness."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pulumi
import pulumi_docker as docker

from components.certificates.pem import Pem
from components.docker_daemon.component import DockerNode
from components.lib.host_files.bundle import Entry
from components.lib.readiness.component import Probe, ready
from components.lib.service.confinement import Confinement
from components.lib.service.container import ServiceContainer
from components.lib.service.directives import SERVICE_SCRIPT
from components.lib.service.stage import service
from components.load_balancer.args import LoadBalancerArgs
from components.load_balancer.pool import Pool
from components.load_balancer.render import (
    ADDRESS_DIRECTORY,
    ADDRESS_SCRIPT,
    ADDRESS_STAGE,
    DIRECTORY,
    STAGE,
    CacheServers,
    NginxConfig,
    address_digest,
    address_entries,
    alive_url,
    entries,
)
from components.nodes.component import Nodes
from components.nodes.node import Node
from config import naming
from config.model.limits import LimitSettings
from config.model.stack import Settings

_FOLDER = Path(__file__).parent / "scripts"
NGINX_SCRIPTS = (SERVICE_SCRIPT, _FOLDER / "reload.sh", _FOLDER / "nginx.sh")
ADDRESS_SCRIPTS = (SERVICE_SCRIPT, _FOLDER / "check_ip_conflict.sh")
READY_SECONDS = 60
# On a busy node what everybody waits for goes first, and a check that comes too late would move the address.
CPU_SHARES = 4096
# What is in flight may end; a balancer that goes has lost the address before.
GRACE_SECONDS = 60
# keepalived tells the others that it goes, and takes the address off.
ADDRESS_GRACE_SECONDS = 5


class LoadBalancer(pulumi.ComponentResource):
    """nginx on every node of the role, and with two or more of them keepalived; the registry's name leads there."""

    ready: pulumi.Resource
    """Done when nginx answers under the registry's name and address, asking for a password."""
    client_ca: pulumi.Output[str]
    """The CA of the certificates that balancers show to replicas and caches, PEM."""
    pool: Pool
    """The replicas behind all balancers."""

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:load-balancer:LoadBalancer", name, None, opts)
        self._name, self._args = name, args
        self.client_ca = args.client_authority.certificate
        balancers = args.daemons.on(args.nodes.with_role("load-balancer"))
        containers: list[docker.Container] = []
        # One balancer after the other, so that one always serves.
        before: list[pulumi.Resource] = []
        for on in balancers:
            config = nginx_config(args.settings, args.nodes, on.node)
            nginx = self._nginx(on, config, before)
            containers.append(nginx)
            before = [self._answers(f"{on.node.name}-ready", on.node, on.node.address, [nginx])]
            if config.peers:
                containers.append(self._keepalived(on, config, before))
                before.append(containers[-1])
        address = args.settings.load_balancer.address
        self.ready = self._answers("ready", balancers[0].node, address, containers)
        self.pool = Pool([on.node for on in balancers], args.settings.registry.name, self.ready)
        self.register_outputs({})

    def _nginx(self, on: DockerNode, config: NginxConfig, before: list[pulumi.Resource]) -> docker.Container:
        args, name = self._args, f"{self._name}-{on.node.name}"
        server = args.authority.issue(
            name,
            common_name=config.name,
            dns_names=[config.name],
            addresses=sorted({config.address, config.own_address}),
            parent=self,
        )
        client = args.client_authority.issue(
            f"{name}-client",
            common_name=on.node.name,
            uses=("digital_signature", "client_auth"),
            parent=self,
        )
        return service(
            name,
            on,
            args.settings.stack,
            ServiceContainer(
                service=STAGE,
                image=args.images.on_nodes("nginx"),
                entrypoint=["nginx"],
                command=["-c", f"{DIRECTORY}/nginx.conf", "-g", "daemon off;"],
                volumes={DIRECTORY: DIRECTORY},
                confinement=nginx_confinement(args.settings.limits.nginx, own_image=args.images.is_own("nginx")),
                cpu_shares=CPU_SHARES,
                stop_signal="SIGQUIT",
                grace_seconds=GRACE_SECONDS,
            ),
            pulumi.Output.all(
                args.authority.pem(server),
                args.client_authority.pem(client),
                args.accounts.htpasswd,
                args.mirror_clients.certificate,
            ).apply(partial(_entries, config)),
            scripts=NGINX_SCRIPTS,
            parent=self,
            depends_on=[args.seed.container, *args.firewall.done, *before],
        )

    def _keepalived(self, on: DockerNode, config: NginxConfig, after: list[pulumi.Resource]) -> docker.Container:
        return service(
            f"{self._name}-{on.node.name}-address",
            on,
            self._args.settings.stack,
            ServiceContainer(
                service=ADDRESS_STAGE,
                image=self._args.images.on_nodes("keepalived"),
                entrypoint=["sh", ADDRESS_SCRIPT],
                command=["start", config.own_address, f"{ADDRESS_DIRECTORY}/keepalived.conf"],
                volumes={ADDRESS_DIRECTORY: ADDRESS_DIRECTORY},
                confinement=keepalived_confinement(self._args.settings.limits.keepalived),
                cpu_shares=CPU_SHARES,
                stop_signal="SIGTERM",
                grace_seconds=ADDRESS_GRACE_SECONDS,
                config_digest=address_digest(config),
            ),
            address_entries(config),
            scripts=ADDRESS_SCRIPTS,
            parent=self,
            depends_on=[self._args.seed.container, *after],
        )

    def _answers(self, part: str, node: Node, address: str, containers: list[docker.Container]) -> pulumi.Resource:
        """Asks for the registry by its name at an address, from one node."""
        registry = self._args.settings.registry
        return ready(
            f"{self._name}-{part}",
            node=node,
            probes=[
                Probe(
                    f"https://{registry.name}:{registry.port}/v2/",
                    status=401,
                    ca_file=f"{DIRECTORY}/ca.crt",
                    resolve=f"{registry.name}:{registry.port}:{address}",
                )
            ],
            seconds=READY_SECONDS,
            triggers=[container.id for container in containers],
            opts=node.options(self),
        )


def nginx_confinement(limits: LimitSettings, *, own_image: bool) -> Confinement:
    """What nginx needs; images of other makers may have no curl."""
    return Confinement(
        limits,
        # The master gives up root for its workers.
        capabilities=["CHOWN", "NET_BIND_SERVICE", "SETGID", "SETUID"],
        # Where Debian's nginx, and where nginx's own images, put what is on its way.
        scratch=["/run", "/tmp", "/var/cache/nginx", "/var/lib/nginx"],
        healthcheck=["curl", "-sf", "-o", "/dev/null", alive_url()] if own_image else (),
    )


def keepalived_confinement(limits: LimitSettings) -> Confinement:
    """What keepalived needs, to look at nginx's processes too."""
    return Confinement(
        limits,
        # The last two: its own priority on a busy machine, and its checks without more groups.
        capabilities=["NET_ADMIN", "NET_RAW", "SYS_NICE", "SETGID"],
        scratch=["/run", "/tmp"],
        healthcheck=["sh", ADDRESS_SCRIPT, "alive"],
        host_processes=True,
    )


def nginx_config(settings: Settings, nodes: Nodes, node: Node) -> NginxConfig:
    """The input of a node's nginx configuration."""
    registry = settings.registry
    caching = [one.address for one in nodes.caching()]
    caches = []
    for index, upstream in enumerate(registry.upstreams):
        # The upstreams are shared out: what is one's backup is the other's first.
        first = index % len(caching)
        servers = [naming.endpoint(address, upstream.port) for address in (*caching[first:], *caching[:first])]
        caches.append(CacheServers(upstream.name, upstream.prefix, upstream.mirror, servers))
    return NginxConfig(
        name=registry.name,
        address=settings.load_balancer.address,
        own_address=node.address,
        port=registry.port,
        mirror_port=registry.mirror_port,
        replicas=[one.address for one in nodes.with_role("registry")],
        readers=[user.name for user in registry.users if user.role == "pull"],
        caches=caches,
        drives=[one.address for one in nodes.with_role("object-store")],
        object_store_port=settings.object_store.port,
        object_store_endpoint_port=settings.object_store.endpoint_port,
        peers=[one.address for one in nodes.with_role("load-balancer") if one.name != node.name],
        nodes=[one.address for one in nodes.all],
        router_id=settings.load_balancer.router_id,
    )


def _entries(config: NginxConfig, known: tuple[Pem, Pem, Mapping[str, str], str]) -> list[Entry]:
    return entries(config, *known)
