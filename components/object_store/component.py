"""The MinIO servers and their readiness."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import pulumi
import pulumi_command
import pulumi_docker as docker
import pulumi_random as random

from components.certificates.pem import Pem
from components.docker_daemon.component import DockerNode
from components.lib.host_files.bundle import Entry
from components.lib.readiness.component import Probe, ready
from components.lib.service.confinement import Confinement, go_environment, own_health
from components.lib.service.container import ServiceContainer
from components.lib.service.directives import SERVICE_SCRIPT
from components.lib.service.stage import service
from components.object_store.args import ObjectStoreArgs
from components.object_store.render import (
    ACCESS_KEY_LENGTH,
    DIRECTORY,
    STAGE,
    USER,
    RootKey,
    command,
    entries,
    start_digest,
)
from config import naming
from config.model.limits import LimitSettings
from config.model.storage import ObjectStoreSettings

# A write quorum of four servers that start at once is there in seconds; more than this means that something is wrong.
READY_SECONDS = 120
EXPORT = "components.object_store.export"
SCRIPTS = (SERVICE_SCRIPT, Path(__file__).parent / "scripts" / "certificate.sh")


class ObjectStore(pulumi.ComponentResource):
    """Four MinIO servers that act as one, erasure coded: any one may be lost."""

    root_user: pulumi.Output[str]
    root_password: pulumi.Output[str]
    ready: pulumi.Resource
    """Done when every server reports write quorum."""

    def __init__(self, name: str, args: ObjectStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:object-store:ObjectStore", name, None, opts)
        settings = args.settings.object_store
        servers = args.daemons.on(args.nodes.with_role("object-store"))
        # What the servers keep can only be read with this key: outside a lab both outlive the services.
        child = pulumi.ResourceOptions(parent=self, protect=args.settings.lab is None or None)
        # Drawn like the password: who knows an access key id has half of what a forged request needs.
        self.root_user = random.RandomPassword(
            f"{name}-root-user", length=ACCESS_KEY_LENGTH, special=False, opts=child
        ).result
        self.root_password = random.RandomPassword(f"{name}-root", length=40, special=False, opts=child).result
        root = pulumi.Output.all(self.root_user, self.root_password).apply(lambda both: RootKey(*both))
        digest = pulumi.Output.unsecret(root.apply(start_digest))
        addresses = [on.node.address for on in servers]
        image = args.images.on_nodes("objectStore")
        # Whatever makes the servers' containers anew, all of them at once.
        bounds = str(args.settings.limits.minio.memory)
        exported = self._export(
            name, args, root, triggers=[image, digest, *addresses, str(settings.port), settings.data_dir, bounds]
        )
        containers = [
            self._server(f"{name}-{on.node.name}", args, on, addresses, root, digest, exported) for on in servers
        ]
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
            triggers=[container.id for container in containers],
            opts=asking.options(self),
        )
        self.register_outputs({})

    def _server(
        self,
        name: str,
        args: ObjectStoreArgs,
        on: DockerNode,
        addresses: list[str],
        root: pulumi.Output[RootKey],
        digest: pulumi.Output[str],
        exported: pulumi.Resource,
    ) -> docker.Container:
        """One of the servers at these addresses."""
        node, settings, limits = on.node, args.settings.object_store, args.settings.limits.minio
        certificate = args.authority.issue(
            name,
            common_name=node.name,
            dns_names=[node.name, naming.drive_name(args.settings.registry.name)],
            addresses=sorted({node.address, args.settings.load_balancer.address, args.settings.front_address}),
            parent=self,
        )
        return service(
            name,
            on,
            args.settings.stack,
            ServiceContainer(
                service=STAGE,
                image=args.images.on_nodes("objectStore"),
                command=command(settings, addresses, node.address),
                volumes={DIRECTORY: DIRECTORY, "/data": settings.data_dir},
                writable=frozenset({"/data"}),
                # MinIO finds its limit itself, once: another limit is another container.
                environment={"MINIO_CONFIG_ENV_FILE": f"{DIRECTORY}/environment", **go_environment(limits)},
                confinement=confinement(
                    limits, naming.endpoint(node.address, settings.port), own_image=args.images.is_own("objectStore")
                ),
                user=USER,
                config_digest=digest,
            ),
            pulumi.Output.all(root, args.authority.pem(certificate)).apply(partial(_entries, settings, node.address)),
            scripts=SCRIPTS,
            parent=self,
            # All servers change at once: MinIO refuses peers with other settings or versions.
            depends_on=[exported, args.seed.container, *args.firewall.done],
        )

    def _export(
        self,
        name: str,
        args: ObjectStoreArgs,
        root: pulumi.Output[RootKey],
        triggers: list[pulumi.Input[str]],
    ) -> pulumi.Resource:
        """Bucket and IAM settings to files of the deploy host, before all servers change at once."""
        settings = args.settings
        return pulumi_command.local.Command(
            f"{name}-export",
            create=EXPORT,
            interpreter=[sys.executable, "-m"],
            stdin=root.apply(
                lambda key: json.dumps(
                    {
                        "stack": settings.stack,
                        "endpoint": settings.store_from_deploy_host,
                        "server_name": naming.drive_name(settings.registry.name),
                        "ca_file": args.deploy_host.ca_file,
                        "user": key.access,
                        "password": key.secret,
                    }
                )
            ),
            triggers=triggers,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.deploy_host.files]),
        )


def confinement(limits: LimitSettings, endpoint: str, *, own_image: bool) -> Confinement:
    """What a server needs that listens at host:port; whether the others are there is no matter of its own health."""
    live, ca = f"https://{endpoint}/minio/health/live", f"{DIRECTORY}/certs/CAs/ca.crt"
    return Confinement(limits, scratch=["/tmp"], healthcheck=own_health(live, ca) if own_image else ())


def _entries(settings: ObjectStoreSettings, address: str, known: tuple[RootKey, Pem]) -> list[Entry]:
    return entries(settings, address, *known)
