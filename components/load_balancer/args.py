"""What the load balancer stage takes."""

from __future__ import annotations

from dataclasses import dataclass

from components.accounts.component import Accounts
from components.certificates.component import CertificateAuthority
from components.certificates.mirror_identity import MirrorIdentity
from components.docker_daemon.component import DockerDaemons
from components.firewall.component import Firewall
from components.lib.image_references import Images
from components.nodes.component import Nodes
from components.seed_registry.component import SeedRegistry
from config.model.stack import Settings


@dataclass(frozen=True)
class LoadBalancerArgs:
    """Inputs of `LoadBalancer`."""

    settings: Settings
    nodes: Nodes
    daemons: DockerDaemons
    images: Images
    authority: CertificateAuthority
    client_authority: CertificateAuthority
    """Signs what the balancers show to replicas and caches, and nothing else."""
    accounts: Accounts
    mirror_clients: MirrorIdentity
    """Who is let in at the mirror port."""
    seed: SeedRegistry
    firewall: Firewall
