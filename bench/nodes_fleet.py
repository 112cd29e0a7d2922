"""Light SSH hosts for the bench: containers of the lab-node image in which nothing runs but sshd."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncssh
import docker

LABEL = "berth.bench"
NETWORK = "berth-bench"
SUBNET, GATEWAY = "10.80.0.0/22", "10.80.0.1"
MOST_HOSTS = 200
# The same for every tool, as far as the tool's own SSH can: what a client prefers decides much of a connection's cost.
SSHD = [
    "/usr/sbin/sshd",
    "-D",
    "-e",
    "-o",
    "KexAlgorithms=curve25519-sha256,curve25519-sha256@libssh.org",
    "-o",
    "Ciphers=aes128-gcm@openssh.com,aes128-ctr",
]
# The image of a lab node is kept small without what every installed Python has; Ansible's modules would pay for that.
COMPILE_PYTHON = ["sh", "-c", "exec python3 -m compileall -q /usr/lib/python3*"]
HOSTS_FILE = b"127.0.0.1 localhost\n10.80.0.1 gateway.bench.test\n"
_FILES = Path(__file__).parent / "nodes_files"


@dataclass(frozen=True)
class Host:
    """One light host."""

    name: str
    address: str
    host_key: str


class Fleet:
    """All hosts of a bench, made on entry and gone on exit, whatever happens between."""

    def __init__(self, image: str, count: int) -> None:
        if not 1 <= count <= MOST_HOSTS:
            raise SystemExit(f"--hosts: {count} is not between 1 and {MOST_HOSTS}")
        self._image, self._count = image, count
        self._docker = docker.from_env(timeout=300)
        self._containers: list[Any] = []
        self.private_key = asyncssh.generate_private_key("ssh-ed25519")
        self.hosts: list[Host] = []

    def __enter__(self) -> Self:
        self.remove()
        try:
            self._image = self._with_bytecode()
            pool = docker.types.IPAMPool(subnet=SUBNET, gateway=GATEWAY)
            self._docker.networks.create(
                NETWORK, driver="bridge", labels={LABEL: "1"}, ipam=docker.types.IPAMConfig(pool_configs=[pool])
            )
            with ThreadPoolExecutor(4) as workers:
                for host, container in workers.map(self._make, range(self._count)):
                    self.hosts.append(host)
                    self._containers.append(container)
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Every container and network with the bench's label, those of a killed bench too."""
        found = self._docker.containers.list(all=True, filters={"label": f"{LABEL}=1"}, ignore_removed=True)
        with ThreadPoolExecutor(4) as workers:
            list(workers.map(lambda container: container.remove(force=True, v=True), found))
        for network in self._docker.networks.list(filters={"label": f"{LABEL}=1"}):
            network.remove()
        for image in self._docker.images.list(filters={"label": f"{LABEL}=1"}):
            self._docker.images.remove(image.id)

    def logins(self, count: int) -> int:
        """How often the first `count` hosts let somebody in since they were made."""
        with ThreadPoolExecutor(4) as workers:
            logs = workers.map(lambda container: container.logs(), self._containers[:count])
            return sum(log.count(b"Accepted publickey") for log in logs)

    def processor_seconds(self, count: int) -> float:
        """What the first `count` hosts have spent on sshd and all that ran in them, whatever else the machine did."""
        return sum(map(_processor_seconds, self._containers[:count]))

    def _with_bytecode(self) -> str:
        compiler = self._docker.containers.create(
            self._image, entrypoint=COMPILE_PYTHON, command=[], network_mode="none", labels={LABEL: "1"}
        )
        compiler.start()
        compiler.wait()
        return str(compiler.commit(changes=f'LABEL {LABEL}="1"').id)

    def _make(self, index: int) -> tuple[Host, Any]:
        name = f"berth-bench-{index + 1}"
        address = f"10.80.{1 + index // 250}.{1 + index % 250}"
        key = asyncssh.generate_private_key("ssh-ed25519")
        endpoint = docker.types.EndpointConfig("1.41", ipv4_address=address)
        container = self._docker.containers.create(
            self._image,
            name=name,
            hostname=name,
            entrypoint=SSHD,
            command=[],
            network=NETWORK,
            networking_config={NETWORK: endpoint},
            stop_signal="SIGTERM",
            labels={LABEL: "1"},
            pids_limit=200,
            mem_limit="256m",
        )
        container.put_archive("/", _archive(key, self.private_key))
        container.start()
        container.reload()
        return Host(name, address, key.export_public_key().decode().strip()), container


def ssh_config(hosts: Sequence[Host], directory: Path, private_key: asyncssh.SSHKey) -> Path:
    """Key, known_hosts and a configuration for OpenSSH that reads nothing of the user's own."""
    key_file, known_hosts, config = (directory / name for name in ("id_ed25519", "known_hosts", "ssh_config"))
    key_file.write_bytes(private_key.export_private_key())
    key_file.chmod(0o600)
    known_hosts.write_text("".join(f"{host.address} {host.host_key}\n" for host in hosts))
    config.write_text(
        f"User root\nIdentityFile {key_file}\nIdentitiesOnly yes\nIdentityAgent none\nBatchMode yes\n"
        f"StrictHostKeyChecking yes\nUserKnownHostsFile {known_hosts}\nGlobalKnownHostsFile /dev/null\n"
        "ConnectTimeout 60\nLogLevel ERROR\n"
    )
    return config


def _processor_seconds(container: Any) -> float:
    # Docker's own statistics say 0 where the machine mounts the controllers of cgroup version 1 apart.
    groups = Path(f"/proc/{container.attrs['State']['Pid']}/cgroup").read_text().splitlines()
    paths = {name: path for _, names, path in (line.split(":", 2) for line in groups) for name in names.split(",")}
    if "cpuacct" in paths:
        return int(Path(f"/sys/fs/cgroup/cpuacct{paths['cpuacct']}/cpuacct.usage").read_text()) / 1e9
    usage = Path(f"/sys/fs/cgroup{paths['']}/cpu.stat").read_text().split()
    return int(usage[usage.index("usage_usec") + 1]) / 1e6


def _archive(host_key: asyncssh.SSHKey, user_key: asyncssh.SSHKey) -> bytes:
    """What a host has beside the image: keys, the folders of the managed files, a service of its own."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in (
            "run/sshd",
            "etc/docker/certs.d/registry.bench.test:4000",
            "etc/systemd/system/docker.service.d",
            "etc/bench",
        ):
            member = tarfile.TarInfo(path)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)
        for path, mode, content in (
            ("etc/ssh/ssh_host_ed25519_key", 0o600, host_key.export_private_key()),
            ("etc/ssh/ssh_host_ed25519_key.pub", 0o644, host_key.export_public_key()),
            ("root/.ssh/authorized_keys", 0o600, user_key.export_public_key()),
            ("etc/bench/hosts", 0o644, HOSTS_FILE),
            ("etc/bench/hosts.original", 0o644, HOSTS_FILE),
            ("etc/init.d/berth-bench", 0o755, (_FILES / "berth-bench").read_bytes()),
        ):
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
