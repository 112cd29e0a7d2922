"""What the Docker daemon stage takes."""

from __future__ import annotations

from dataclasses import dataclass

from components.certificates import CertificateAuthority
from components.deploy_host import DeployHost
from components.nodes import Nodes
from components.swarm import RollCall
from config.model.stack import Settings


@dataclass(frozen=True)
class DockerDaemonsArgs:
    """Inputs of `DockerDaemons`."""

    settings: Settings
    nodes: Nodes
    deploy_host: DeployHost
    authority: CertificateAuthority
    roll_call: RollCall
    """Who leaves the swarm has left before Docker is told of it."""
