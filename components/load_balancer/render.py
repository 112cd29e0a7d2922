"""nginx's configuration and files; pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from components.certificates.pem import Pem
from components.lib.host_files.bundle import Directive, Directory, Entry, File
from components.lib.host_files.shell import Script
from components.lib.service.directives import Port, service_directives
from config import naming

STAGE = "load-balancer"
DIRECTORY = naming.node_directory(STAGE)
ADDRESS_STAGE = naming.VIRTUAL_ADDRESS_STAGE
ADDRESS_DIRECTORY = naming.node_directory(ADDRESS_STAGE)
ADDRESS_SCRIPT = f"{ADDRESS_DIRECTORY}/address.sh"
ADDRESS_TEXT = Script.of(Path(__file__).parent / "scripts" / "address.sh")
# Workers read the password files on each request; www-data has this number in every Debian.
WORKER_GROUP = "0:33"
ANY_ADDRESS = "0.0.0.0"

# What the object store says of itself beside the blob, and what is said of the blob in its place.
HIDDEN = (
    *("Content-Security-Policy", "Content-Type", "ETag", "Last-Modified", "Vary", "X-Xss-Protection"),
    *("X-Amz-Id-2", "X-Amz-Replication-Status", "X-Amz-Request-Id", "X-Amz-Server-Side-Encryption"),
    *("X-Amz-Storage-Class", "X-Amz-Tagging-Count", "X-Amz-Version-Id", "X-Minio-Error-Code", "X-Minio-Error-Desc"),
    *("X-Ratelimit-Limit", "X-Ratelimit-Remaining"),
)


@dataclass(frozen=True)
class CacheServers:
    """An upstream's cache, as the balancer sees it."""

    name: str
    prefix: str
    mirror: bool
    """Served at the root of the mirror port."""
    servers: Sequence[str]
    """host:port, the one that is asked first."""


@dataclass(frozen=True)
class NginxConfig:
    """Everything that the files of one balancer depend on, certificates and passwords apart."""

    name: str
    address: str
    own_address: str
    port: int
    mirror_port: int
    replicas: Sequence[str]
    readers: Sequence[str]
    """Names of the users who cannot push."""
    caches: Sequence[CacheServers]
    drives: Sequence[str]
    object_store_port: int
    object_store_endpoint_port: int
    peers: Sequence[str] = ()
    """Addresses of the other balancers."""
    nodes: Sequence[str] = ()
    """Addresses of all of the stack's nodes."""
    router_id: int = 0

    def ports(self) -> list[Port]:
        """What must be free on the node: on all of its addresses, for the virtual one comes and goes."""
        found = [
            Port(ANY_ADDRESS, self.port, "berth:registry.port"),
            Port(ANY_ADDRESS, self.object_store_endpoint_port, "berth:objectStore.endpointPort"),
            Port("127.0.0.1", naming.FRONT_STATUS_PORT, "the node's roles: Berth's balancers always use this port"),
        ]
        return [*found, Port(ANY_ADDRESS, self.mirror_port, "berth:registry.mirrorPort")] if self.caches else found


def pattern(text: str) -> str:
    """A regular expression for exactly this text that means nothing to nginx's own quotes and variables."""
    return "".join(chr(byte) if chr(byte).isalnum() and byte < 128 else f"\\x{byte:02x}" for byte in text.encode())


def template(name: str, **known: object) -> str:
    """A rendered template of this stage."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name).render(**known)


def status_url() -> str:
    """Where nginx says, on its node, which configuration is in force."""
    return f"http://127.0.0.1:{naming.FRONT_STATUS_PORT}/config"


def alive_url() -> str:
    """Where nginx says, on its node, that it lives."""
    return f"http://127.0.0.1:{naming.FRONT_STATUS_PORT}/alive"


def nginx_conf(config: NginxConfig) -> str:
    """The whole of nginx.conf."""
    return template(
        "nginx.conf.j2",
        config=config,
        directory=DIRECTORY,
        readers=[pattern(name) for name in config.readers],
        replica_name=naming.replica_name(config.name),
        drive_name=naming.drive_name(config.name),
        endpoint=naming.endpoint(config.address, config.object_store_endpoint_port),
        hidden=HIDDEN,
        status_port=naming.FRONT_STATUS_PORT,
    )


def entries(
    config: NginxConfig, server: Pem, client: Pem, htpasswd: Mapping[str, str], mirror_clients: str
) -> list[Entry]:
    """The files of one balancer, and what its container needs to be free."""
    return [
        Directory(f"{DIRECTORY}/users", mode="0750", owner=WORKER_GROUP),
        File(f"{DIRECTORY}/nginx.conf", nginx_conf(config)),
        File(f"{DIRECTORY}/ca.crt", server.ca),
        File(f"{DIRECTORY}/tls.crt", server.certificate),
        File(f"{DIRECTORY}/tls.key", server.key, mode="0600"),
        File(f"{DIRECTORY}/client.crt", client.certificate),
        File(f"{DIRECTORY}/client.key", client.key, mode="0600"),
        *([File(f"{DIRECTORY}/mirror-clients.crt", mirror_clients)] if config.caches else []),
        *(
            File(f"{DIRECTORY}/users/{access}.htpasswd", content, mode="0640", owner=WORKER_GROUP)
            for access, content in sorted(htpasswd.items())
        ),
        *service_directives(STAGE, *config.ports()),
        Directive("status", [status_url()]),
        *(Directive("replica", [address, str(naming.REGISTRY_REPLICA_PORT)]) for address in config.replicas),
    ]


def keepalived_conf(config: NginxConfig) -> str:
    """The whole of keepalived.conf; the interface is filled in where it runs."""
    return template("keepalived.conf.j2", config=config, script=ADDRESS_SCRIPT, status_port=naming.FRONT_STATUS_PORT)


def address_entries(config: NginxConfig) -> list[Entry]:
    """The files of the virtual address on one balancer, and who may have it already."""
    return [
        File(f"{ADDRESS_DIRECTORY}/keepalived.conf", keepalived_conf(config)),
        File(ADDRESS_SCRIPT, ADDRESS_TEXT, mode="0755"),
        *service_directives(ADDRESS_STAGE),
        Directive("virtual", [config.address, str(config.port)]),
        # Also of nodes that are balancers no more: one that leaves holds the address until the end of the run.
        *(Directive("own", [node]) for node in config.nodes if node != config.own_address),
    ]


def address_digest(config: NginxConfig) -> str:
    """Of what keepalived reads only at its start."""
    text = "".join(entry.content for entry in address_entries(config) if isinstance(entry, File))
    return hashlib.sha256(text.encode()).hexdigest()
