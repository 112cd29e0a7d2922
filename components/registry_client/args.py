"""What the registry client stage takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.accounts import Accounts
from components.certificates import CertificateAuthority
from components.docker_daemon import DockerDaemons
from components.nodes import Nodes
from config.model.stack import Settings

if TYPE_CHECKING:
    # The balancers take the nodes' identity, so that each of the two stages knows the other.
    from components.load_balancer import LoadBalancer
    from components.registry_client.component import MirrorIdentity


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
