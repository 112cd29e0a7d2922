"""What the registry client stage takes."""

from __future__ import annotations

from dataclasses import dataclass

from components.accounts.component import Accounts
from components.certificates.component import CertificateAuthority
from components.certificates.mirror_identity import MirrorIdentity
from components.docker_daemon.component import DockerDaemons
from components.load_balancer.component import LoadBalancer
from components.nodes.component import Nodes
from config.model.stack import Settings


@dataclass(frozen=True)
class RegistryClientsArgs:
    """Inputs of `RegistryClients`."""

    settings: Settings
    nodes: Nodes
    daemons: DockerDaemons
    authority: CertificateAuthority
    accounts: Accounts
    mirror: MirrorIdentity
    balancer: LoadBalancer
    """Knows the nodes' new password before they use it."""
