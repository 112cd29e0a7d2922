"""The seed registry's container on the deploy host."""

from __future__ import annotations

import pulumi
import pulumi_docker as docker

from components.lib.service.confinement import REPLACING, Confinement, bound_processes, go_environment, own_health
from components.seed_registry.args import SeedRegistryArgs
from components.seed_registry.render import CONFIG_DIRECTORY, STORAGE_DIRECTORY
from config import naming, paths


class SeedRegistry(pulumi.ComponentResource):
    """One per stack, with a certificate of the stack's CA; gone with `down`."""

    container: docker.Container

    def __init__(self, name: str, args: SeedRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:seed-registry:SeedRegistry", name, None, opts)
        stack = args.settings.stack
        lab, seed, limits = args.nodes.lab, args.settings.images.seed, args.settings.limits.seed
        self.container = docker.Container(
            f"{name}-registry",
            name=naming.seed_container(stack),
            image=args.images.on_deploy_host("registry"),
            command=["serve", f"{CONFIG_DIRECTORY}/config.yml"],
            envs=["OTEL_TRACES_EXPORTER=none", *(f"{key}={value}" for key, value in go_environment(limits).items())],
            volumes=[
                docker.ContainerVolumeArgs(
                    host_path=str(args.deploy_host.directory / "seed"), container_path=CONFIG_DIRECTORY, read_only=True
                ),
                docker.ContainerVolumeArgs(
                    host_path=str(paths.seed_storage()), container_path=STORAGE_DIRECTORY, read_only=True
                ),
            ],
            network_mode=None if lab else "host",
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(
                    name=lab.network.name, ipv4_address=args.settings.images.seed.address
                )
            ]
            if lab
            else None,
            restart="unless-stopped",
            labels=[
                docker.ContainerLabelArgs(label="berth.config", value=args.deploy_host.seed_digest),
                docker.ContainerLabelArgs(label="berth.service", value="seed"),
                docker.ContainerLabelArgs(label="berth.stack", value=stack),
            ],
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[args.deploy_host.files],
                delete_before_replace=True,
                replace_on_changes=REPLACING,
            ),
            **Confinement(
                limits,
                scratch=["/tmp"],
                healthcheck=own_health(
                    # The nodes' address for it may be known to them only.
                    f"https://{naming.endpoint('127.0.0.1', seed.port)}/v2/",
                    ca_file=f"{CONFIG_DIRECTORY}/ca.crt",
                    name=seed.address,
                ),
            ).options(),
        )
        bound_processes(
            f"{name}-processes",
            self.container,
            naming.seed_container(stack),
            limits,
            access=None,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
