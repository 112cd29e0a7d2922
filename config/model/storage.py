"""The object store."""

from __future__ import annotations

from pydantic import Field

from config.fields import common as v
from config.model.base import Model


class ObjectStoreSettings(Model):
    """MinIO, which keeps the registry's blobs on all nodes with the role object-store."""

    port: v.Port = 9000
    """Port of MinIO on each of its nodes (TLS)."""

    endpoint_port: v.Port = 9443
    """Port on the load balancer that routes to any living MinIO node (TLS)."""

    bucket: v.Bucket = "registry"
    """Bucket of the registry."""

    data_dir: v.Directory = "/var/lib/berth/object-store"
    """Directory on the nodes that holds the data; the best place for a disk of its own."""

    allow: tuple[v.Source, ...] = Field(default=(), examples=[["10.1.0.0/16", "192.0.2.9"]])
    """Who else may reach endpointPort: IPv4 addresses and networks. The nodes and the deploy host always may."""
