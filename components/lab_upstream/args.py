"""What the lab's upstream takes."""

from __future__ import annotations

from dataclasses import dataclass

from components.certificates.component import CertificateAuthority
from components.lib.image_references import Images
from components.nodes.component import Nodes
from config.model.stack import Settings


@dataclass(frozen=True)
class LabUpstreamArgs:
    """Inputs of `LabUpstream`."""

    settings: Settings
    nodes: Nodes
    images: Images
    authority: CertificateAuthority
