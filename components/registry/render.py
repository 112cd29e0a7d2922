"""Configuration of distribution processes, replicas above all; pure functions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import yaml

from components.certificates.pem import Pem
from components.lib.host_files.bundle import Entry, File
from components.lib.service.directives import Port, service_directives
from components.object_store.render import Storage
from config import naming

STAGE = "registry"
USER = f"{naming.SERVICE_UID}:{naming.SERVICE_UID}"
# For what a process is in the middle of when it is stopped: the upload of a large layer is one request.
DRAIN_SECONDS = 300


@dataclass(frozen=True)
class Key:
    """An S3 key; it opens one part of the bucket only."""

    access: str
    secret: str


@dataclass(frozen=True)
class Listener:
    """Where a distribution process listens, and where it keeps its files."""

    stage: str
    address: str
    port: int
    health_port: int

    @property
    def directory(self) -> str:
        """The process's files on its node."""
        return naming.node_directory(self.stage)

    @property
    def health_url(self) -> str:
        """Where the process says, on its node, whether it reaches its storage."""
        return f"http://127.0.0.1:{self.health_port}/debug/health"


def document(listener: Listener, storage: Storage, key: Key, http_secret: str) -> dict[str, Any]:
    """What replicas and caches have in common."""
    directory = listener.directory
    return {
        "version": 0.1,
        "log": {"level": "info", "formatter": "json", "accesslog": {"disabled": True}},
        "storage": {
            "s3": {
                "accesskey": key.access,
                "secretkey": key.secret,
                "region": "us-east-1",
                "regionendpoint": f"https://{storage.endpoint}",
                # MinIO has no bucket host names; distribution 3 no longer assumes this for a custom endpoint.
                "forcepathstyle": True,
                "secure": True,
                "bucket": storage.bucket,
                "rootdirectory": storage.directory,
            },
            # The balancer follows the signed URL itself: blobs go round this process, clients never see MinIO.
            "redirect": {"disable": False},
            "maintenance": {"uploadpurging": {"enabled": True, "age": "168h", "interval": "24h", "dryrun": False}},
        },
        "http": {
            "addr": f"{listener.address}:{listener.port}",
            "relativeurls": True,
            "secret": http_secret,
            "draintimeout": f"{DRAIN_SECONDS}s",
            # A CA of the balancers' own: members of etcd and servers of MinIO hold certificates of the stack's CA, too.
            "tls": {
                "certificate": f"{directory}/tls.crt",
                "key": f"{directory}/tls.key",
                "clientcas": [f"{directory}/{naming.CLIENT_CA}"],
                "minimumtls": "tls1.2",
            },
            "debug": {"addr": f"127.0.0.1:{listener.health_port}"},
        },
        "health": {"storagedriver": {"enabled": True, "interval": "10s", "threshold": 3}},
    }


def config(listener: Listener, storage: Storage, key: Key, http_secret: str) -> str:
    """distribution's configuration of one replica. All replicas share storage and secret, so an upload may move on."""
    wanted = document(listener, storage, key, http_secret)
    # No cache of descriptors: what one replica has deleted, another would serve from its memory.
    wanted["storage"]["delete"] = {"enabled": True}
    return yaml.safe_dump(wanted, sort_keys=False)


def environment(listener: Listener, storage: Storage) -> dict[str, str]:
    """What a process is started with. Berth's own image goes to MinIO's servers directly, others by the balancer."""
    return {
        **reaching(storage),
        "OTEL_TRACES_EXPORTER": "none",
        # The object store's certificate is the stack's own; the S3 client looks for its CA here.
        "SSL_CERT_FILE": f"{listener.directory}/ca.crt",
    }


def reaching(storage: Storage) -> dict[str, str]:
    """Variables that lead a program of Berth's own image to MinIO's servers without a balancer in between."""
    return {"BERTH_ENDPOINT": storage.endpoint, "BERTH_ENDPOINT_SERVERS": ",".join(storage.servers)}


def entries(listener: Listener, rendered: str, pem: Pem, client_ca: str) -> list[Entry]:
    """The files of one process, and the ports it needs to be free; `client_ca` is the balancers', PEM."""
    directory = listener.directory
    return [
        File(f"{directory}/config.yml", rendered, mode="0600", owner=USER),
        File(f"{directory}/ca.crt", pem.ca, owner=USER),
        File(f"{directory}/{naming.CLIENT_CA}", client_ca, owner=USER),
        File(f"{directory}/tls.crt", pem.certificate, owner=USER),
        File(f"{directory}/tls.key", pem.key, mode="0600", owner=USER),
        *service_directives(
            listener.stage,
            Port(listener.address, listener.port, "the node's roles and berth:registry.upstreams, which lead to it"),
            Port("127.0.0.1", listener.health_port, "the node's roles and berth:registry.upstreams, which lead to it"),
        ),
    ]


def start_digest(rendered: str, certificate: str, client_ca: str) -> str:
    """Digest of what a replica reads only at its start; its secrets are forty random characters each."""
    return hashlib.sha256((rendered + certificate + client_ca).encode()).hexdigest()
