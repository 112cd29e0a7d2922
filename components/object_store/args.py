"""What the object store stage takes."""

from __future__ import annotations

from dataclasses import dataclass

from components.certificates import CertificateAuthority
from components.deploy_host import DeployHost
from components.docker_daemon import DockerDaemons
from components.firewall import Firewall
from components.images import Images
from components.nodes import Nodes
from components.seed_registry import SeedRegistry
from config.model.stack import Settings


@dataclass(frozen=True)
class ObjectStoreArgs:
    """Inputs of `ObjectStore`."""

    settings: Settings
    nodes: Nodes
    daemons: DockerDaemons
    images: Images
    authority: CertificateAuthority
    deploy_host: DeployHost
    seed: SeedRegistry
    firewall: Firewall
