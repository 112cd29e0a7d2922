"""What the load balancer stage takes."""

from __future__ import annotations

from dataclasses import dataclass

from components.accounts import Accounts
from components.certificates import CertificateAuthority
from components.docker_daemon import DockerDaemons
from components.firewall import Firewall
from components.images import Images
from components.nodes import Nodes
from components.registry_client import MirrorIdentity
from components.seed_registry import SeedRegistry
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
