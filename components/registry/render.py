"""A replica's configuration; pure functions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import yaml

from components.certificates import Pem
from components.remote import Entry, File
from components.service import Port, service_facts
from config import naming

STAGE = "registry"
DIRECTORY = naming.node_directory(STAGE)
USER = f"{naming.SERVICE_UID}:{naming.SERVICE_UID}"


@dataclass(frozen=True)
class Storage:
    """The bucket and the key for it."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str


def config(address: str, storage: Storage, http_secret: str) -> str:
    """distribution's configuration of one replica. All replicas share storage and secret, so an upload may move on."""
    document = {
        "version": 0.1,
        "log": {"level": "info", "formatter": "json", "accesslog": {"disabled": True}},
        "storage": {
            "s3": {
                "accesskey": storage.access_key,
                "secretkey": storage.secret_key,
                "region": "us-east-1",
                "regionendpoint": f"https://{storage.endpoint}",
                # MinIO has no bucket host names; distribution 3 no longer assumes this for a custom endpoint.
                "forcepathstyle": True,
                "secure": True,
                "bucket": storage.bucket,
                "rootdirectory": "/store",
            },
            # Clients see one name and one certificate: blobs go through the registry, never by a signed MinIO URL.
            "redirect": {"disable": True},
            "delete": {"enabled": True},
            "cache": {"blobdescriptor": "inmemory"},
            "maintenance": {"uploadpurging": {"enabled": True, "age": "168h", "interval": "24h", "dryrun": False}},
        },
        "http": {
            "addr": f"{address}:{naming.REGISTRY_REPLICA_PORT}",
            "relativeurls": True,
            "secret": http_secret,
            "draintimeout": "30s",
            # Only the balancer holds a client certificate: nobody goes round its password check.
            "tls": {
                "certificate": f"{DIRECTORY}/tls.crt",
                "key": f"{DIRECTORY}/tls.key",
                "clientcas": [f"{DIRECTORY}/ca.crt"],
                "minimumtls": "tls1.2",
            },
            "debug": {"addr": f"127.0.0.1:{naming.REGISTRY_HEALTH_PORT}"},
        },
        "health": {"storagedriver": {"enabled": True, "interval": "10s", "threshold": 3}},
    }
    return yaml.safe_dump(document, sort_keys=False)


def entries(address: str, rendered: str, pem: Pem) -> list[Entry]:
    """The files of one replica."""
    return [
        File(f"{DIRECTORY}/config.yml", rendered, mode="0600", owner=USER),
        File(f"{DIRECTORY}/ca.crt", pem.ca, owner=USER),
        File(f"{DIRECTORY}/tls.crt", pem.certificate, owner=USER),
        File(f"{DIRECTORY}/tls.key", pem.key, mode="0600", owner=USER),
        *service_facts(
            STAGE,
            Port(address, naming.REGISTRY_REPLICA_PORT, "the node's roles: Berth's replicas always use this port"),
            Port("127.0.0.1", naming.REGISTRY_HEALTH_PORT, "the node's roles: Berth's replicas always use this port"),
        ),
    ]


def start_digest(rendered: str, certificate: str) -> str:
    """Digest of what a replica reads only at its start; its secrets are forty random characters each."""
    return hashlib.sha256((rendered + certificate).encode()).hexdigest()
