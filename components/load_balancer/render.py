"""nginx's configuration and files; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from components.certificates import Pem
from components.remote import Directory, Entry, File
from components.service import Port, service_facts
from config import naming

STAGE = "load-balancer"
DIRECTORY = naming.node_directory(STAGE)
# Workers read the password files on each request; www-data has this number in every Debian.
WORKER_GROUP = "0:33"
TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Front:
    """Everything that nginx.conf depends on."""

    name: str
    address: str
    port: int
    replicas: Sequence[str]
    drives: Sequence[str]
    object_store_port: int
    object_store_endpoint_port: int


def nginx_conf(front: Front) -> str:
    """The whole of nginx.conf."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True
    )
    return environment.get_template("nginx.conf.j2").render(
        front=front,
        directory=DIRECTORY,
        replica_port=naming.REGISTRY_REPLICA_PORT,
        replica_name=naming.replica_name(front.name),
    )


def entries(front: Front, server: Pem, client: Pem, htpasswd: Mapping[str, str]) -> list[Entry]:
    """The files of one balancer, and what its container needs to be free."""
    return [
        Directory(f"{DIRECTORY}/users", mode="0750", owner=WORKER_GROUP),
        File(f"{DIRECTORY}/nginx.conf", nginx_conf(front)),
        File(f"{DIRECTORY}/ca.crt", server.ca),
        File(f"{DIRECTORY}/tls.crt", server.certificate),
        File(f"{DIRECTORY}/tls.key", server.key, mode="0600"),
        File(f"{DIRECTORY}/client.crt", client.certificate),
        File(f"{DIRECTORY}/client.key", client.key, mode="0600"),
        *(
            File(f"{DIRECTORY}/users/{access}.htpasswd", content, mode="0640", owner=WORKER_GROUP)
            for access, content in sorted(htpasswd.items())
        ),
        *service_facts(
            STAGE,
            Port(front.address, front.port, "berth:registry.port"),
            Port(front.address, front.object_store_endpoint_port, "berth:objectStore.endpointPort"),
        ),
    ]
