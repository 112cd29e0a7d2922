"""A containerised service on one node: its files by the stage's bundle, then the container that reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pulumi
import pulumi_docker as docker

from components.docker_daemon.component import DockerNode
from components.lib.host_files.bundle import Entry
from components.lib.host_files.host_state import host_state
from components.lib.service.container import ServiceContainer, service_container
from components.lib.service.directives import SERVICE_SCRIPTS


def service(
    name: str,
    on: DockerNode,
    stack: str,
    container: ServiceContainer,
    entries: pulumi.Input[Sequence[Entry]],
    *,
    scripts: Sequence[Path] = SERVICE_SCRIPTS,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> docker.Container:
    """Files and container, both children of `parent`; `scripts` begin with `service.sh`."""
    files = host_state(
        f"{name}-files",
        stack=stack,
        stage=container.service,
        node=on.node,
        entries=entries,
        scripts=scripts,
        opts=on.node.options(parent, on.ready),
    )
    return service_container(name, on, stack, container, parent=parent, depends_on=[files, *depends_on])
