"""What the deploy host stage takes."""

from __future__ import annotations

from dataclasses import dataclass

from components.certificates.component import CertificateAuthority
from components.nodes.component import Nodes
from config.model.stack import Settings


@dataclass(frozen=True)
class DeployHostArgs:
    """Inputs of `DeployHost`."""

    settings: Settings
    nodes: Nodes
    authority: CertificateAuthority
