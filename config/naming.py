"""Names, addresses, ports and paths on nodes that Berth decides itself, each in this one place and with its reason."""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Network

# The project's name in Pulumi.yaml: the namespace of all settings and the first part of every name on a machine.
PROJECT = "berth"

# Labels on everything that Berth makes in a Docker daemon; `berth ssh` and `berth down` find lab nodes by them.
STACK_LABEL = "berth.stack"
NODE_LABEL = "berth.node"

# Each registry replica listens beside the balancer, which owns registry.port on the nodes that have both roles.
REGISTRY_REPLICA_PORT = 4010
# A replica's own health page, on the node's loopback only.
REGISTRY_HEALTH_PORT = 4011

# nginx's own status page, on the node's loopback only.
FRONT_STATUS_PORT = 4012
# nginx's workers have 8192 connections each, and a client's connection may need a second one to a replica or cache:
# all clients together get less than half of one worker's, which leaves the rest for the status page and replicas.
FRONT_CONNECTIONS = 4000
# Limit for other clients; the difference is reserved for the nodes and the deploy host.
FRONT_CONNECTIONS_OF_CLIENTS = 3000
# keepalived's stage, beside nginx's: `status`, `verify` and drills treat it differently.
VIRTUAL_ADDRESS_STAGE = "virtual-address"
# The garbage collector's stage: `gc` runs commands in its containers.
COLLECTOR_STAGE = "garbage-collection"
# The first upstream's cache listens here, the next ones above it, on the nodes that also have a replica.
CACHE_FIRST_PORT = 4020
# A cache's own health page, on the node's loopback only: this far above the cache's port.
CACHE_HEALTH_ABOVE = 500
# Each upstream has two processes and tolerates the loss of one.
CACHES_PER_UPSTREAM = 2
# Directories of the bucket: each has its own access key.
STORE_DIRECTORY = "/store"
CACHE_DIRECTORY = "/cache"
# Where the garbage collector keeps its own; the name is its choice (images/registry/collect).
COLLECTOR_DIRECTORY = "/gc"
# Where Docker Hub answers; its images go by the name docker.io.
DOCKER_HUB, DOCKER_HUB_NAME = "https://registry-1.docker.io", "docker.io"
# The lab's stand-in for a public registry.
LAB_UPSTREAM_PORT = 5000

# Where a node's system keeps what etcd and Docker's TCP port need for TLS, and under which names.
ETCD_TLS, DOCKER_TLS = "/etc/ssl/etcd", "/etc/docker/tls"
TLS_FILES = ("ca.pem", "cert.pem", "key.pem")

# Users and ids inside Berth's own images (registry, MinIO): the id that distroless images use for "nonroot".
SERVICE_UID = 65532
CLIENT_CA = "balancers.crt"
"""File, in the directory of a replica or cache, with the CA of the only clients that it accepts."""


def labels(stack: str, node: str | None = None) -> dict[str, str]:
    """Labels of a Docker object of this stack."""
    found = {STACK_LABEL: stack}
    if node is not None:
        found[NODE_LABEL] = node
    return found


def service_container(stage: str) -> str:
    """Container of a service on a node. Without the stack's name: a node belongs to one stack only."""
    return f"{PROJECT}-{stage}"


def seed_container(stack: str) -> str:
    """Container of the seed registry. With the stack's name: a deploy host serves several stacks."""
    return f"{PROJECT}-{stack}-seed"


def lab_container(stack: str, node: str) -> str:
    """Container that is a lab node. With the stack's name, so that a test's lab runs beside a user's."""
    return f"{PROJECT}-{stack}-{node}"


def lab_network(stack: str) -> str:
    """Bridge network of a lab on the deploy host: one per stack, gone with it."""
    return f"{PROJECT}-{stack}"


def lab_volume(stack: str, node: str, what: str) -> str:
    """Volume of a lab node: `docker` for /var/lib/docker (overlay cannot lie on overlay), `data` for the store."""
    return f"{PROJECT}-{stack}-{node}-{what}"


# The deploy host's end of the ports that lead into VirtualBox's NAT network, which cannot be reached otherwise.
FORWARDED_HOST = "127.0.0.1"
# SSH of the first virtual machine, the next ones above it.
FORWARDED_SSH = 2011


def virtual_machine(stack: str, node: str) -> str:
    """A virtual machine, and the first part of its files' names: VirtualBox knows one list of them per user."""
    return f"{PROJECT}-{stack}-{node}"


def virtual_network(stack: str) -> str:
    """The NAT network of a stack's virtual machines."""
    return f"{PROJECT}-{stack}"


def virtual_mac(stack: str, node: str) -> str:
    """The MAC address, the same whenever the machine is made again: its configuration matches the interface by it."""
    # VirtualBox's own prefix.
    return "080027" + hashlib.sha256(f"{stack}/{node}".encode()).hexdigest()[:6].upper()


def lab_gateway(subnet: IPv4Network) -> str:
    """The deploy host's address in a lab: the first one, where Docker puts a bridge's gateway."""
    return str(subnet.network_address + 1)


def seed_address(subnet: IPv4Network) -> str:
    """The seed registry's address in a lab: the second one, next to the gateway and before any node."""
    return str(subnet.network_address + 2)


def lab_upstream_address(subnet: IPv4Network) -> str:
    """The stand-in upstream's address in a lab: the third one, next to the seed registry."""
    return str(subnet.network_address + 3)


def lab_upstream_container(stack: str) -> str:
    """Container of a lab's stand-in upstream, on the deploy host."""
    return f"{PROJECT}-{stack}-upstream"


def cache_stage(upstream: str) -> str:
    """The stage of an upstream's cache: a service with its own container and configuration."""
    return f"cache-{upstream}"


def spool_directory(upstream: str) -> str:
    """Where a cache stores blobs during their download: on the node's disk, of no value after a restart."""
    return f"/var/cache/berth/{upstream}"


def node_directory(stage: str) -> str:
    """A stage's configuration on a node: one directory per stage, so that a stage removes only its own."""
    return f"/etc/berth/{stage}"


def certs_directory(endpoint: str) -> str:
    """Where Docker looks for the CA of a registry on every pull, without reload: the name includes the port."""
    return f"/etc/docker/certs.d/{endpoint}"


def replica_name(registry: str) -> str:
    """The name in every replica's certificate: the balancer checks it, whichever replica it talks to."""
    return f"replica.{registry}"


def etcd_name(registry: str) -> str:
    """The name in every etcd member's certificate: of all certificates of the stack's CA, etcd accepts only these."""
    return f"etcd.{registry}"


def drive_name(registry: str) -> str:
    """The name in every MinIO server's certificate: nginx compares names only, never addresses."""
    return f"drive.{registry}"


def endpoint(host: str, port: int) -> str:
    """A registry in image names. With the port, because Docker would take a plain name for a user's."""
    return f"{host}:{port}"


def hosts_marker(stack: str) -> tuple[str, str]:
    """First and last line of Berth's block in /etc/hosts: per stack, since a deploy host serves several."""
    return f"# BEGIN berth {stack}", f"# END berth {stack}"
