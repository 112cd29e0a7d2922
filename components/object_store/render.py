"""MinIO's files and command line, and the registry's policy; pure functions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.certificates.pem import Pem
from components.lib.host_files.bundle import Directive, Directory, Entry, File
from components.lib.service.directives import Port, service_directives
from config import naming
from config.model.storage import ObjectStoreSettings

STAGE = "object-store"
DIRECTORY = naming.node_directory(STAGE)
USER = f"{naming.SERVICE_UID}:{naming.SERVICE_UID}"
ACCESS_KEY_LENGTH = 20
"""MinIO's upper limit for the access key id of a user."""


@dataclass(frozen=True)
class RootKey:
    """The key of MinIO's administrator."""

    access: str
    secret: str


@dataclass(frozen=True)
class Storage:
    """One part of the registry's bucket."""

    endpoint: str
    """host:port under which every MinIO server's certificate is good."""
    servers: Sequence[str]
    """host:port of each MinIO server."""
    bucket: str
    directory: str


def environment(root: RootKey) -> str:
    """MinIO's environment file. The MINIO_ variables must be the same on all nodes."""
    return "".join(
        f"{name}={value}\n"
        for name, value in {
            "MINIO_BROWSER": "off",
            # How long a server waits for one that was cut off or frozen: MinIO's own ten minutes and thirty seconds
            # are longer than clients wait for a blob.
            "MINIO_CONN_USER_TIMEOUT": "5s",
            "MINIO_DRIVE_MAX_TIMEOUT": "5s",
            "MINIO_ROOT_PASSWORD": root.secret,
            "MINIO_ROOT_USER": root.access,
            "MINIO_UPDATE": "off",
        }.items()
    )


def command(settings: ObjectStoreSettings, addresses: Sequence[str], own_address: str) -> list[str]:
    """MinIO's command line: every node lists all of them, itself included, in the same order."""
    drives = [f"https://{address}:{settings.port}/data" for address in addresses]
    return ["server", "--address", f"{own_address}:{settings.port}", "--certs-dir", f"{DIRECTORY}/certs", *drives]


def entries(settings: ObjectStoreSettings, address: str, root: RootKey, pem: Pem) -> list[Entry]:
    """The files of one node; MinIO reads new certificates at a SIGHUP."""
    certs = f"{DIRECTORY}/certs"
    return [
        Directory(settings.data_dir, mode="0750", owner=USER),
        File(f"{DIRECTORY}/environment", environment(root), mode="0600", owner=USER),
        File(f"{certs}/CAs/ca.crt", pem.ca, owner=USER),
        File(f"{certs}/public.crt", pem.certificate, owner=USER),
        File(f"{certs}/private.key", pem.key, mode="0600", owner=USER),
        Directive("certificate", [certs]),
        *service_directives(STAGE, Port(address, settings.port, "berth:objectStore.port")),
    ]


def start_digest(root: RootKey) -> str:
    """Digest of what MinIO reads only at its start; it says nothing about a password of forty random characters."""
    return hashlib.sha256(environment(root).encode()).hexdigest()


def directory_policy(bucket: str, directory: str) -> str:
    """What a process of the registry may do: read, write and delete in its own directory, and nothing anywhere else.

    `directory` begins with a slash.
    """
    prefix = directory.strip("/")
    return _policy(
        # MinIO knows no condition on a prefix for uploads that are not finished.
        {"Action": ["s3:GetBucketLocation", "s3:ListBucketMultipartUploads"], "Resource": [_arn(bucket)]},
        {
            "Action": ["s3:ListBucket"],
            "Resource": [_arn(bucket)],
            "Condition": {"StringLike": {"s3:prefix": [prefix, f"{prefix}/*"]}},
        },
        {"Action": _OBJECTS, "Resource": [_arn(f"{bucket}/{prefix}/*")]},
        # To MinIO the right to delete includes that to delete a version for good, unless it is denied.
        {"Effect": "Deny", "Action": ["s3:DeleteObjectVersion"], "Resource": [_arn(f"{bucket}/*")]},
        # MinIO lets every user make keys for itself that would outlive a new secret.
        {"Effect": "Deny", "Action": ["admin:*"]},
    )


def collector_policy(bucket: str) -> str:
    """What the collector of garbage may do: read the store, hide and destroy its blobs, write its own directory."""
    store, own = naming.STORE_DIRECTORY.strip("/"), naming.COLLECTOR_DIRECTORY.strip("/")
    blobs = _arn(f"{bucket}/{store}/docker/registry/v2/blobs/*")
    return _policy(
        {"Action": ["s3:GetBucketLocation", "s3:GetBucketVersioning"], "Resource": [_arn(bucket)]},
        {
            "Action": ["s3:ListBucket", "s3:ListBucketVersions"],
            "Resource": [_arn(bucket)],
            "Condition": {"StringLike": {"s3:prefix": [f"{store}/*", f"{own}/*"]}},
        },
        {
            "Action": ["s3:GetObject", "s3:GetObjectVersion"],
            "Resource": [_arn(f"{bucket}/{store}/*"), _arn(f"{bucket}/{own}/*")],
        },
        {"Action": ["s3:DeleteObject", "s3:DeleteObjectVersion"], "Resource": [blobs, _arn(f"{bucket}/{own}/*")]},
        {"Action": ["s3:PutObject"], "Resource": [_arn(f"{bucket}/{own}/*")]},
        # A listing is whole only while every drive is there.
        {"Action": ["admin:StorageInfo"]},
        # What MinIO lets every user do for itself: make keys that would outlive a new secret, change the secret.
        {"Effect": "Deny", "Action": _FOR_ITSELF},
    )


_FOR_ITSELF = ["admin:CreateServiceAccount", "admin:CreateUser", "admin:GetUser", "admin:ListServiceAccounts"]


def excluded_prefixes() -> list[str]:
    """What is not versioned, so that the store does not grow by it for ever.

    Uploads are copied to their place and deleted, caches refill, and links are written anew by every push of a tag.
    The collector insists on the first one by its name.
    """
    store, cache = naming.STORE_DIRECTORY.strip("/"), naming.CACHE_DIRECTORY.strip("/")
    return ["*/_uploads/", f"{store}/docker/registry/v2/repositories/", f"{cache}/"]


_OBJECTS = [
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
]


def _arn(path: str) -> str:
    return f"arn:aws:s3:::{path}"


def _policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]})
