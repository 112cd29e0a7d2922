"""What the garbage collection stage takes."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.certificates.component import CertificateAuthority
from components.docker_daemon.component import DockerDaemons
from components.lib.image_references import Images
from components.nodes.component import Nodes
from components.object_store.bucket import RegistryBucket
from config.model.stack import Settings


@dataclass(frozen=True)
class GarbageCollectionArgs:
    """Inputs of `GarbageCollection`."""

    settings: Settings
    nodes: Nodes
    daemons: DockerDaemons
    images: Images
    authority: CertificateAuthority
    bucket: RegistryBucket
    after: pulumi.Resource
    """Done when the nodes can pull images."""
