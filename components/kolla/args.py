"""What the Kolla stage takes."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.accounts.component import Accounts
from components.certificates.component import CertificateAuthority
from components.docker_daemon.component import DockerDaemons
from components.nodes.component import Nodes
from config.model.stack import Settings


@dataclass(frozen=True)
class KollaArgs:
    """Inputs of `Kolla`."""

    settings: Settings
    nodes: Nodes
    daemons: DockerDaemons
    authority: CertificateAuthority
    accounts: Accounts
    serving: tuple[pulumi.Resource, ...]
    """Done when the registry answers and every node may pull from it."""
