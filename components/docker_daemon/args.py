"""What the Docker daemon stage takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.certificates.component import CertificateAuthority
from components.deploy_host.component import DeployHost
from components.nodes.component import Nodes
from config.model.stack import Settings


@dataclass(frozen=True)
class DockerDaemonsArgs:
    """Inputs of `DockerDaemons`."""

    settings: Settings
    nodes: Nodes
    deploy_host: DeployHost
    authority: CertificateAuthority
    after: Sequence[pulumi.Resource]
    """Nodes that leave a swarm have left it before their daemon is configured."""
