"""The MinIO servers and their readiness."""

from __future__ import annotations

from functools import partial

import pulumi
import pulumi_random as random

from components.certificates import Pem
from components.object_store.args import ObjectStoreArgs
from components.object_store.render import DIRECTORY, ROOT_USER, STAGE, USER, command, entries, start_digest
from components.readiness import Probe, ready
from components.remote import Entry, host_state
from components.service import SERVICE_SCRIPT, ServiceContainer, service_container
from config import ObjectStoreSettings

# A write quorum of four servers that start at once is there in seconds; more than this means that something is wrong.
READY_SECONDS = 120


class ObjectStore(pulumi.ComponentResource):
    """Four MinIO servers that act as one, erasure coded: any one may be lost."""

    root_user: str
    root_password: pulumi.Output[str]
    ready: pulumi.Resource
    """Done when every server reports write quorum."""

    def __init__(self, name: str, args: ObjectStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:object-store:ObjectStore", name, None, opts)
        settings = args.settings.object_store
        servers = args.daemons.on(args.nodes.with_role("object-store"))
        # What the servers keep can only be read with this key: outside a lab both outlive the services.
        child = pulumi.ResourceOptions(parent=self, protect=args.settings.lab is None or None)
        self.root_user = ROOT_USER
        self.root_password = random.RandomPassword(f"{name}-root", length=40, special=False, opts=child).result
        digest = pulumi.Output.unsecret(self.root_password.apply(start_digest))
        addresses = [on.node.address for on in servers]
        containers = []
        for on in servers:
            node = on.node
            certificate = args.authority.issue(
                f"{name}-{node.name}",
                common_name=node.name,
                dns_names=[node.name],
                addresses=sorted({node.address, args.settings.load_balancer.address}),
                parent=self,
            )
            files = host_state(
                f"{name}-{node.name}-files",
                stack=args.settings.stack,
                stage=STAGE,
                node=node,
                entries=pulumi.Output.all(self.root_password, args.authority.pem(certificate)).apply(
                    partial(_entries, settings, node.address)
                ),
                scripts=[SERVICE_SCRIPT],
                opts=node.options(self, on.ready),
            )
            containers.append(
                service_container(
                    f"{name}-{node.name}",
                    on,
                    args.settings.stack,
                    ServiceContainer(
                        service=STAGE,
                        image=args.images.on_nodes("minio"),
                        command=command(settings, addresses, node.address),
                        volumes={DIRECTORY: DIRECTORY, "/data": settings.data_dir},
                        writable=frozenset({"/data"}),
                        environment={"MINIO_CONFIG_ENV_FILE": f"{DIRECTORY}/environment"},
                        user=USER,
                        config_digest=digest,
                    ),
                    parent=self,
                    # All servers change at once: MinIO refuses peers with other settings or versions.
                    depends_on=[files, args.seed.container],
                )
            )
        asking = servers[0].node
        self.ready = ready(
            f"{name}-ready",
            node=asking,
            probes=[
                Probe(
                    f"https://{address}:{settings.port}/minio/health/cluster",
                    ca_file=f"{DIRECTORY}/certs/CAs/ca.crt",
                )
                for address in addresses
            ],
            seconds=READY_SECONDS,
            again_when=[container.id for container in containers],
            opts=asking.options(self),
        )
        self.register_outputs({})


def _entries(settings: ObjectStoreSettings, address: str, password_and_pem: tuple[str, Pem]) -> list[Entry]:
    return entries(settings, address, *password_and_pem)
