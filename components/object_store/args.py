"""What the object store stage takes."""

from __future__ import annotations

from dataclasses import dataclass

from components.certificates.component import CertificateAuthority
from components.deploy_host.component import DeployHost
from components.docker_daemon.component import DockerDaemons
from components.firewall.component import Firewall
from components.lib.image_references import Images
from components.nodes.component import Nodes
from components.seed_registry.component import SeedRegistry
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
