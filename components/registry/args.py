"""What the registry stage takes."""

from __future__ import annotations

from dataclasses import dataclass

from components.certificates import CertificateAuthority
from components.docker_daemon import DockerDaemons
from components.images import Images
from components.load_balancer import LoadBalancer
from components.nodes import Nodes
from components.object_store import RegistryBucket
from components.seed_registry import SeedRegistry
from config.model.stack import Settings


@dataclass(frozen=True)
class RegistryArgs:
    """Inputs of `Registry`."""

    settings: Settings
    nodes: Nodes
    daemons: DockerDaemons
    images: Images
    authority: CertificateAuthority
    bucket: RegistryBucket
    balancer: LoadBalancer
    seed: SeedRegistry
