"""etcd's settings and files; pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components.certificates.pem import Pem
from components.lib.host_files.bundle import Directive, Directory, Entry, File
from components.lib.host_files.shell import script
from config import naming

STAGE = "etcd"
DIRECTORY = naming.node_directory(STAGE)
OWNER = "etcd:etcd"
PACKAGES = ("etcd-server", "etcd-client")
# Written while a member joins, gone with the next boot: from its first start on a member knows who the others are.
JOIN_FILE = "/run/berth-etcd-join"
ETCDCTL_FILE = f"{DIRECTORY}/etcdctl.env"
_FOLDER = Path(__file__).parent / "scripts"
TEXTS = {
    name: script(_FOLDER / "members.sh", _FOLDER / f"{name}.sh")
    for name in ("reconcile_member", "converge", "leave", "snapshot", "restore")
}
"""The scripts that read `reconciliation`."""


@dataclass(frozen=True)
class System:
    """How a kind of operating system runs etcd."""

    unit: str
    tls_directory: str
    """Where the process sees the certificates."""
    extra: Sequence[str] = ()
    """More of the unit's environment."""


PACKAGED = System("etcd.service", DIRECTORY)
"""Debian and Ubuntu: the package's own unit."""

COREOS = System("etcd-member.service", "/etc/ssl/certs", (f"ETCD_SSL_DIR={DIRECTORY}",))
"""CoreOS and Flatcar: the image's own unit, whose wrapper runs etcd in a container and puts ETCD_SSL_DIR there."""


@dataclass(frozen=True)
class Member:
    """A member as the others know it."""

    name: str
    address: str


@dataclass(frozen=True)
class Cluster:
    """Everything that the files of one member depend on, certificates apart."""

    own: Member
    members: Sequence[Member]
    """All of them, in the settings' order."""
    token: str
    host_name: str
    """In every member's certificate, and asked of every client's."""
    client_port: int
    peer_port: int
    data_dir: str
    heartbeat: int
    """Milliseconds."""
    system: System = PACKAGED

    def client_url(self, member: Member) -> str:
        """Where clients reach a member."""
        return f"https://{naming.endpoint(member.address, self.client_port)}"

    def peer_url(self, member: Member) -> str:
        """Where the other members reach it."""
        return f"https://{naming.endpoint(member.address, self.peer_port)}"


def settings(cluster: Cluster) -> dict[str, str]:
    """What etcd is started with, all of it understood by 3.4 (Debian 12, Ubuntu 24.04) and 3.5."""
    own, tls = cluster.own, cluster.system.tls_directory
    return {
        "ETCD_NAME": own.name,
        "ETCD_DATA_DIR": cluster.data_dir,
        "ETCD_LISTEN_CLIENT_URLS": f"{cluster.client_url(own)},https://127.0.0.1:{cluster.client_port}",
        "ETCD_ADVERTISE_CLIENT_URLS": cluster.client_url(own),
        "ETCD_LISTEN_PEER_URLS": cluster.peer_url(own),
        "ETCD_INITIAL_ADVERTISE_PEER_URLS": cluster.peer_url(own),
        "ETCD_CERT_FILE": f"{tls}/member.crt",
        "ETCD_KEY_FILE": f"{tls}/member.key",
        "ETCD_CLIENT_CERT_AUTH": "true",
        "ETCD_CLIENT_CERT_ALLOWED_HOSTNAME": cluster.host_name,
        "ETCD_TRUSTED_CA_FILE": f"{tls}/ca.crt",
        "ETCD_PEER_CERT_FILE": f"{tls}/member.crt",
        "ETCD_PEER_KEY_FILE": f"{tls}/member.key",
        "ETCD_PEER_CLIENT_CERT_AUTH": "true",
        "ETCD_PEER_CERT_ALLOWED_HOSTNAME": cluster.host_name,
        "ETCD_PEER_TRUSTED_CA_FILE": f"{tls}/ca.crt",
        # Its way to its own member takes the rule about names for one about servers, and never gets through.
        "ETCD_ENABLE_GRPC_GATEWAY": "false",
        "ETCD_HEARTBEAT_INTERVAL": str(cluster.heartbeat),
        "ETCD_ELECTION_TIMEOUT": str(cluster.heartbeat * 10),
        # Each change keeps the old value until it is compacted away: without this the store only grows.
        "ETCD_AUTO_COMPACTION_MODE": "periodic",
        "ETCD_AUTO_COMPACTION_RETENTION": "1h",
    }


def bootstrap(cluster: Cluster) -> dict[str, str]:
    """What only a member's very first start reads: another list of members is no reason for a restart."""
    members = ",".join(f"{member.name}={cluster.peer_url(member)}" for member in cluster.members)
    return {
        "ETCD_INITIAL_CLUSTER": members,
        "ETCD_INITIAL_CLUSTER_STATE": "new",
        "ETCD_INITIAL_CLUSTER_TOKEN": cluster.token,
    }


def start_digest(cluster: Cluster, ca: str) -> str:
    """Of what a member reads at every start; its own certificate it reads again for each connection."""
    return hashlib.sha256(repr([settings(cluster), drop_in(cluster.system), ca]).encode()).hexdigest()[:16]


def drop_in(system: System) -> str:
    """What is different from the unit that the system brings."""
    extra = [f"Environment={one}" for one in system.extra]
    lines = [
        "[Service]",
        *extra,
        f"EnvironmentFile={DIRECTORY}/environment",
        f"EnvironmentFile={DIRECTORY}/bootstrap",
        f"EnvironmentFile=-{JOIN_FILE}",
        # A member reports that it has started when it has found the others, which may be long after.
        "TimeoutStartSec=0",
        "Restart=on-failure",
        "RestartSec=1",
    ]
    return "\n".join(lines) + "\n"


def etcdctl(cluster: Cluster) -> dict[str, str]:
    """What etcdctl has to know on a member's node: this member, and who root is there."""
    return {
        "ETCDCTL_API": "3",
        "ETCDCTL_ENDPOINTS": cluster.client_url(cluster.own),
        "ETCDCTL_CACERT": f"{DIRECTORY}/ca.crt",
        "ETCDCTL_CERT": f"{DIRECTORY}/member.crt",
        "ETCDCTL_KEY": f"{DIRECTORY}/member.key",
    }


def entries(cluster: Cluster, pem: Pem) -> list[Entry]:
    """One member's files. `reconcile_member.sh` applies them, one member at a time."""
    setting = "berth:etcd"
    environment = {**settings(cluster), "BERTH_CONFIG": start_digest(cluster, pem.ca)}
    found: list[Entry] = [Directive("packages", PACKAGES)] if cluster.system is PACKAGED else []
    return [
        *found,
        File(f"{DIRECTORY}/environment", _lines(environment)),
        File(f"{DIRECTORY}/bootstrap", _lines(bootstrap(cluster))),
        File(ETCDCTL_FILE, _lines(etcdctl(cluster))),
        File(f"{DIRECTORY}/ca.crt", pem.ca),
        File(f"{DIRECTORY}/member.crt", pem.certificate),
        File(f"{DIRECTORY}/member.key", pem.key, mode="0600", owner=OWNER),
        File(f"/etc/systemd/system/{cluster.system.unit}.d/berth.conf", drop_in(cluster.system)),
        Directory(cluster.data_dir, mode="0700", owner=OWNER),
        *(
            Directive("port", [cluster.own.address, str(number), f"{setting}.{key}"])
            for number, key in ((cluster.client_port, "clientPort"), (cluster.peer_port, "peerPort"))
        ),
        Directive("unit", [cluster.system.unit]),
        Directive("ask", ["etcd", ETCDCTL_FILE]),
    ]


def reconciliation(cluster: Cluster, digest: str, machine: str) -> str:
    """Standard input of `reconcile_member.sh`."""
    lines = [
        ("unit", cluster.system.unit),
        ("own", cluster.own.name, cluster.client_url(cluster.own), cluster.peer_url(cluster.own)),
        *(("member", one.name, cluster.client_url(one), cluster.peer_url(one)) for one in cluster.members),
        ("data", cluster.data_dir),
        ("config", digest),
        ("machine", machine),
    ]
    return "".join("\t".join(line) + "\n" for line in lines)


def _lines(known: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in known.items())
