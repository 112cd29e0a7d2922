"""nginx's configuration and files; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from components.remote import Directory, Entry, Fact, File
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


@dataclass(frozen=True)
class Material:
    """Certificates and keys of one balancer, PEM."""

    ca: str
    key: str
    certificate: str
    client_key: str
    client_certificate: str


def entries(front: Front, material: Material, htpasswd: Mapping[str, str], container: str) -> list[Entry]:
    """The files of one balancer, and the container whose nginx takes them over."""
    return [
        Directory(f"{DIRECTORY}/users", mode="0750", owner=WORKER_GROUP),
        File(f"{DIRECTORY}/nginx.conf", nginx_conf(front)),
        File(f"{DIRECTORY}/ca.crt", material.ca),
        File(f"{DIRECTORY}/tls.crt", material.certificate),
        File(f"{DIRECTORY}/tls.key", material.key, mode="0600"),
        File(f"{DIRECTORY}/client.crt", material.client_certificate),
        File(f"{DIRECTORY}/client.key", material.client_key, mode="0600"),
        *(
            File(f"{DIRECTORY}/users/{access}.htpasswd", content, mode="0640", owner=WORKER_GROUP)
            for access, content in sorted(htpasswd.items())
        ),
        Fact("container", [container]),
    ]
