"""The replicas and their readiness."""

from __future__ import annotations

from functools import partial

import pulumi
import pulumi_random as random

from components.certificates import Pem
from components.readiness import Probe, ready
from components.registry.args import RegistryArgs
from components.registry.render import DIRECTORY, STAGE, USER, Storage, config, entries, start_digest
from components.remote import Entry, host_state
from components.service import SERVICE_SCRIPT, ServiceContainer, service_container
from config import naming

# The storage health check runs every ten seconds and needs one good answer.
READY_SECONDS = 60


class Registry(pulumi.ComponentResource):
    """The writable store: any replica answers any request, the balancer picks one."""

    ready: list[pulumi.Resource]
    """Done when each replica reports healthy storage."""

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:registry:Registry", name, None, opts)
        secret = random.RandomPassword(
            f"{name}-http-secret", length=40, special=False, opts=pulumi.ResourceOptions(parent=self)
        ).result
        settings = args.settings
        balancer = settings.load_balancer.address
        storage = args.bucket.secret_key.apply(
            lambda secret_key: Storage(
                endpoint=naming.endpoint(balancer, settings.object_store.endpoint_port),
                bucket=args.bucket.bucket,
                access_key=args.bucket.access_key,
                secret_key=secret_key,
            )
        )
        self.ready = []
        before: list[pulumi.Resource] = []
        for on in args.daemons.on(args.nodes.with_role("registry")):
            node = on.node
            certificate = args.authority.issue(
                f"{name}-{node.name}",
                common_name=node.name,
                dns_names=[node.name, naming.replica_name(settings.registry.name)],
                addresses=[node.address],
                parent=self,
            )
            rendered = pulumi.Output.all(storage, secret).apply(partial(_config, node.address))
            files = host_state(
                f"{name}-{node.name}-files",
                stack=settings.stack,
                stage=STAGE,
                node=node,
                entries=pulumi.Output.all(rendered, args.authority.pem(certificate)).apply(
                    partial(_entries, node.address)
                ),
                scripts=[SERVICE_SCRIPT],
                opts=node.options(self, on.ready),
            )
            container = service_container(
                f"{name}-{node.name}",
                on,
                settings.stack,
                ServiceContainer(
                    service=STAGE,
                    image=args.images.on_nodes("registry"),
                    command=["serve", f"{DIRECTORY}/config.yml"],
                    volumes={DIRECTORY: DIRECTORY},
                    # The object store's certificate is the stack's own; the S3 client looks for its CA here.
                    environment={"OTEL_TRACES_EXPORTER": "none", "SSL_CERT_FILE": f"{DIRECTORY}/ca.crt"},
                    user=USER,
                    config_digest=pulumi.Output.unsecret(
                        pulumi.Output.all(rendered, certificate.certificate).apply(lambda two: start_digest(*two))
                    ),
                ),
                parent=self,
                # One replica after the other, so that one always serves.
                depends_on=[files, args.bucket.granted, args.balancer.ready, args.seed.container, *before],
            )
            healthy = ready(
                f"{name}-{node.name}-ready",
                node=node,
                probes=[Probe(f"http://127.0.0.1:{naming.REGISTRY_HEALTH_PORT}/debug/health")],
                seconds=READY_SECONDS,
                again_when=[container.id],
                opts=node.options(self),
            )
            before = [healthy]
            self.ready.append(healthy)
        self.register_outputs({})


def _config(address: str, storage_and_secret: tuple[Storage, str]) -> str:
    return config(address, *storage_and_secret)


def _entries(address: str, rendered_and_pem: tuple[str, Pem]) -> list[Entry]:
    return entries(address, *rendered_and_pem)
