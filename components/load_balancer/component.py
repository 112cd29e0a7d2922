"""The balancer and its readiness."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pulumi

from components.certificates import Pem
from components.load_balancer.args import LoadBalancerArgs
from components.load_balancer.render import DIRECTORY, STAGE, Front, entries
from components.readiness import Probe, ready
from components.remote import Entry, host_state
from components.service import SERVICE_SCRIPT, ServiceContainer, service_container

SCRIPT = Path(__file__).parent / "scripts" / "nginx.sh"
READY_SECONDS = 60


class LoadBalancer(pulumi.ComponentResource):
    """nginx on every node of the role; the registry's name leads to it."""

    ready: pulumi.Resource
    """Done when nginx answers under the registry's name with a certificate of the stack's CA, asking for a password."""

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:load-balancer:LoadBalancer", name, None, opts)
        settings = args.settings
        registry = settings.registry
        address = settings.load_balancer.address
        front = Front(
            name=registry.name,
            address=address,
            port=registry.port,
            replicas=[node.address for node in args.nodes.with_role("registry")],
            drives=[node.address for node in args.nodes.with_role("object-store")],
            object_store_port=settings.object_store.port,
            object_store_endpoint_port=settings.object_store.endpoint_port,
        )
        balancers = args.daemons.on(args.nodes.with_role("load-balancer"))
        client = args.authority.issue(
            f"{name}-client", common_name="berth-load-balancer", uses=("digital_signature", "client_auth"), parent=self
        )
        containers = []
        for on in balancers:
            node = on.node
            server = args.authority.issue(
                f"{name}-{node.name}",
                common_name=registry.name,
                dns_names=[registry.name],
                addresses=sorted({address, node.address}),
                parent=self,
            )
            files = host_state(
                f"{name}-{node.name}-files",
                stack=settings.stack,
                stage=STAGE,
                node=node,
                entries=pulumi.Output.all(
                    args.authority.pem(server), args.authority.pem(client), args.accounts.htpasswd
                ).apply(partial(_entries, front)),
                scripts=[SERVICE_SCRIPT, SCRIPT],
                opts=node.options(self, on.ready),
            )
            containers.append(
                service_container(
                    f"{name}-{node.name}",
                    on,
                    settings.stack,
                    ServiceContainer(
                        service=STAGE,
                        image=args.images.on_nodes("nginx"),
                        entrypoint=["nginx"],
                        command=["-c", f"{DIRECTORY}/nginx.conf", "-g", "daemon off;"],
                        volumes={DIRECTORY: DIRECTORY},
                        # The master gives up root for its workers, and signals them.
                        capabilities=["CHOWN", "DAC_OVERRIDE", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"],
                    ),
                    parent=self,
                    depends_on=[files, args.seed.container],
                )
            )
        asking = balancers[0].node
        self.ready = ready(
            f"{name}-ready",
            node=asking,
            probes=[
                Probe(
                    f"https://{registry.name}:{registry.port}/v2/",
                    status=401,
                    ca_file=f"{DIRECTORY}/ca.crt",
                    resolve=f"{registry.name}:{registry.port}:{address}",
                )
            ],
            seconds=READY_SECONDS,
            again_when=[container.id for container in containers],
            opts=asking.options(self),
        )
        self.register_outputs({})


def _entries(front: Front, known: tuple[Pem, Pem, Mapping[str, str]]) -> list[Entry]:
    return entries(front, *known)
