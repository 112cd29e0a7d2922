"""The stand-in's certificate, files and container on the deploy host."""

from __future__ import annotations

import getpass
import hashlib
from functools import partial
from pathlib import Path

import pulumi
import pulumi_docker as docker

from components.certificates.component import Certificate
from components.certificates.pem import Pem
from components.lab_upstream.args import LabUpstreamArgs
from components.lib.host_files.bundle import Directory, Entry, File
from components.lib.host_files.host_state import local_state
from components.lib.service.confinement import REPLACING, Confinement, bound_processes, go_environment
from config import naming, paths

STAGE = "lab-upstream"
CONFIG_DIRECTORY = "/etc/berth/upstream"
STORAGE_DIRECTORY = "/var/lib/registry"


class LabUpstream(pulumi.ComponentResource):
    """One plain registry that anybody may fill, at the third address of the lab; nothing where no lab asks for it."""

    def __init__(self, name: str, args: LabUpstreamArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:lab-upstream:LabUpstream", name, None, opts)
        lab, settings = args.nodes.lab, args.settings
        address = settings.lab.upstream_address if settings.lab else None
        if lab is None or address is None:
            self.register_outputs({})
            return
        directory = paths.stack_directory(settings.stack) / "upstream"
        certificate = args.authority.issue(name, common_name="berth-lab-upstream", addresses=[address], parent=self)
        files = local_state(
            f"{name}-files",
            stack=settings.stack,
            stage=STAGE,
            user=getpass.getuser(),
            entries=args.authority.pem(certificate).apply(
                partial(_entries, str(directory), naming.endpoint(address, naming.LAB_UPSTREAM_PORT))
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        volume = docker.Volume(
            f"{name}-data",
            name=naming.lab_upstream_container(settings.stack),
            labels=[docker.VolumeLabelArgs(label="berth.stack", value=settings.stack)],
            opts=pulumi.ResourceOptions(parent=self),
        )
        network = docker.ContainerNetworksAdvancedArgs(name=lab.network.name, ipv4_address=address)
        container = self._container(f"{name}-registry", args, directory, volume, network, certificate, files)
        bound_processes(
            f"{name}-processes",
            container,
            naming.lab_upstream_container(settings.stack),
            settings.limits.upstream,
            access=None,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})

    def _container(
        self,
        name: str,
        args: LabUpstreamArgs,
        directory: Path,
        volume: docker.Volume,
        network: docker.ContainerNetworksAdvancedArgs,
        certificate: Certificate,
        files: pulumi.Resource,
    ) -> docker.Container:
        settings, limits = args.settings, args.settings.limits.upstream
        return docker.Container(
            name,
            name=naming.lab_upstream_container(settings.stack),
            image=args.images.on_deploy_host("upstream"),
            command=[
                "serve",
                *("--address", f"0.0.0.0:{naming.LAB_UPSTREAM_PORT}"),
                *("--certificate", f"{CONFIG_DIRECTORY}/tls.crt"),
                *("--key", f"{CONFIG_DIRECTORY}/tls.key"),
                *("--storage", STORAGE_DIRECTORY),
            ],
            # The volume is root's; without capabilities root is a user like any other.
            user="0:0",
            envs=[f"{key}={value}" for key, value in go_environment(limits).items()],
            volumes=[
                docker.ContainerVolumeArgs(host_path=str(directory), container_path=CONFIG_DIRECTORY, read_only=True),
                docker.ContainerVolumeArgs(volume_name=volume.name, container_path=STORAGE_DIRECTORY),
            ],
            networks_advanced=[network],
            restart="unless-stopped",
            labels=[
                docker.ContainerLabelArgs(
                    label="berth.config",
                    value=certificate.certificate.apply(lambda pem: hashlib.sha256(pem.encode()).hexdigest()),
                ),
                docker.ContainerLabelArgs(label="berth.service", value=STAGE),
                docker.ContainerLabelArgs(label="berth.stack", value=settings.stack),
            ],
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[files], delete_before_replace=True, replace_on_changes=REPLACING
            ),
            # No health check: it is there to have faults.
            **Confinement(limits, scratch=["/tmp"]).options(),
        )


def _entries(directory: str, endpoint: str, pem: Pem) -> list[Entry]:
    return [
        Directory(directory, mode="0700"),
        File(f"{directory}/tls.crt", pem.certificate),
        File(f"{directory}/tls.key", pem.key, mode="0600"),
        # The deploy host fills it, so it trusts it.
        File(f"{naming.certs_directory(endpoint)}/ca.crt", pem.ca),
    ]
