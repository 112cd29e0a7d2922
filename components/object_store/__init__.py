"""Distributed MinIO: one server with one drive on each node of the role, and the registry's share of it."""

from components.object_store.args import ObjectStoreArgs
from components.object_store.bucket import BucketKey, RegistryBucket, RegistryBucketArgs
from components.object_store.component import ObjectStore
from components.object_store.render import Storage

__all__ = ["BucketKey", "ObjectStore", "ObjectStoreArgs", "RegistryBucket", "RegistryBucketArgs", "Storage"]
