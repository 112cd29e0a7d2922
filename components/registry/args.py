"""What the registry stage takes."""

from __future__ import annotations

from dataclasses import dataclass

from components.certificates.component import CertificateAuthority
from components.docker_daemon.component import DockerDaemons
from components.lib.image_references import Images
from components.load_balancer.component import LoadBalancer
from components.nodes.component import Nodes
from components.object_store.bucket import RegistryBucket
from components.seed_registry.component import SeedRegistry
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
