"""One service's container on one node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from components.docker_daemon.component import DockerNode
from components.lib.service.confinement import REPLACING, Confinement, bound_processes
from config import naming

# Set on the container, not left to the daemon: a default read back from the daemon would show as a change for ever.
LOG_OPTIONS = {"max-file": "3", "max-size": "10m"}


@dataclass(frozen=True)
class ServiceContainer:
    """What runs, and what it needs from its node."""

    service: str
    image: str
    """Digest-pinned reference."""
    command: Sequence[str]
    confinement: Confinement
    volumes: Mapping[str, str]
    """Directories of the node by their path in the container; read-only unless in `writable`."""
    writable: frozenset[str] = frozenset()
    environment: Mapping[str, str] | None = None
    entrypoint: Sequence[str] | None = None
    """Where images of the same program begin differently; None: the image's own."""
    user: str | None = None
    cpu_shares: int | None = None
    """Weight where processors are short; None: 1024, as every other container."""
    stop_signal: str | None = None
    """None: the image's own."""
    grace_seconds: int | None = None
    """How long it may take to end; None: it is killed."""
    config_digest: pulumi.Input[str] | None = None
    """Of the configuration that the service reads only at its start: another digest is another container."""


def service_container(
    name: str,
    on: DockerNode,
    stack: str,
    service: ServiceContainer,
    *,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> docker.Container:
    """The image on the node and the container from it, in its bounds; replaced as a whole when anything changes."""
    image = docker.RemoteImage(
        f"{name}-image",
        name=service.image,
        keep_locally=True,
        opts=on.options(parent, *depends_on),
    )
    labels: dict[str, pulumi.Input[str]] = {
        **naming.labels(stack, on.node.name),
        "berth.service": service.service,
        **({} if service.config_digest is None else {"berth.config": service.config_digest}),
    }
    options = on.options(parent, image, *depends_on, delete_before_replace=True)
    options.replace_on_changes = REPLACING
    container = docker.Container(
        name,
        name=naming.service_container(service.service),
        # The digest reference itself, not the image's output: a new digest then shows in the preview.
        image=service.image,
        entrypoints=None if service.entrypoint is None else list(service.entrypoint),
        command=list(service.command),
        envs=[f"{key}={value}" for key, value in sorted((service.environment or {}).items())],
        user=service.user,
        network_mode="host",
        restart=on.restart,
        cpu_shares=service.cpu_shares,
        stop_signal=service.stop_signal,
        destroy_grace_seconds=service.grace_seconds,
        volumes=[
            docker.ContainerVolumeArgs(
                host_path=host_path, container_path=path, read_only=path not in service.writable or None
            )
            for path, host_path in sorted(service.volumes.items())
        ],
        labels=[docker.ContainerLabelArgs(label=label, value=value) for label, value in sorted(labels.items())],
        log_driver="json-file",
        log_opts=LOG_OPTIONS,
        opts=options,
        **service.confinement.options(),
    )
    bound_processes(
        f"{name}-processes",
        container,
        naming.service_container(service.service),
        service.confinement.limits,
        access=on.node.access,
        opts=on.node.options(parent),
    )
    return container
