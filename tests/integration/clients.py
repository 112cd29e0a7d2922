"""Real clients, each pushing the same small image in its own way."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import tempfile
from pathlib import Path

import pytest

from tests.integration.lab import STACK, Lab, run
from tests.integration.registry import Registry

NODE = f"berth-{STACK}-node4"
# A second daemon beside the node's own: its image store is containerd's.
SECOND = "/run/second"
CONFIG = {
    "features": {"containerd-snapshotter": True},
    "storage-driver": "native",
    "data-root": "/var/lib/docker/second",
    "exec-root": SECOND,
    "pidfile": f"{SECOND}/pid",
    "hosts": [f"unix://{SECOND}/docker.sock"],
    "bridge": "none",
    "iptables": False,
    "containerd-namespace": "second",
    "containerd-plugins-namespace": "second-plugins",
}


def push(client: str, lab: Lab, who: Registry, folder: Path, host: str, name: str, *, upstream: bool) -> None:
    """Pushes `name`:1 to `host`: the same content each time, so that what is there already could be skipped."""
    archive = _archive(folder)
    user = ("", "") if upstream else (who.user, who.password)
    target = f"{host}/{name}:1"
    {
        "docker": _docker,
        "docker with containerd's store": _docker_containerd,
        "skopeo": _skopeo,
        "containerd": _containerd,
        "podman": _podman,
    }[client](lab, archive, target, host, user, who.ca_file)


def _archive(folder: Path) -> Path:
    """What `docker save` writes, made once per test: the same image for every push."""
    path = folder / "image.tar"
    if path.exists():
        return path
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as layer:
        content = folder.name.encode() * 5000
        entry = tarfile.TarInfo("file")
        entry.size = len(content)
        layer.addfile(entry, io.BytesIO(content))
    source = folder / "layer.tar"
    source.write_bytes(file.getvalue())
    made = run(["docker", "import", "--platform", "linux/amd64", str(source), "berth-test-client:1"])
    assert made.returncode == 0, made.stderr
    assert run(["docker", "save", "-o", str(path), "berth-test-client:1"]).returncode == 0
    run(["docker", "rmi", "berth-test-client:1"])
    return path


def _done(words: list[str], stdin: str | None = None, env: dict[str, str] | None = None) -> str:
    done = run(words, stdin=stdin, env=env)
    assert done.returncode == 0, f"{words[:4]}: {done.stdout}{done.stderr}"
    return str(done.stdout)


def _needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed on this machine")


def _docker(lab: Lab, archive: Path, target: str, host: str, user: tuple[str, str], ca: str) -> None:
    env = {**lab.environment, "DOCKER_CONFIG": str(archive.parent / "docker")}
    if user[0]:
        _done(["docker", "login", "-u", user[0], "--password-stdin", host], user[1], env)
    _done(["docker", "load", "-i", str(archive)])
    _done(["docker", "tag", "berth-test-client:1", target])
    _done(["docker", "push", target], env=env)
    _done(["docker", "rmi", target, "berth-test-client:1"])


def _docker_containerd(lab: Lab, archive: Path, target: str, host: str, user: tuple[str, str], ca: str) -> None:
    socket = f"unix://{SECOND}/docker.sock"
    if run(["docker", "exec", NODE, "docker", "-H", socket, "info"]).returncode != 0:
        lab.on("node4", "mkdir", "-p", SECOND)
        _done(["docker", "exec", "-i", NODE, "tee", f"{SECOND}/daemon.json"], json.dumps(CONFIG))
        _done(["docker", "exec", "-d", NODE, "dockerd", "--config-file", f"{SECOND}/daemon.json"])
        _done(
            [
                "docker",
                "exec",
                NODE,
                "sh",
                "-c",
                f"for i in $(seq 60); do docker -H {socket} info && exit; sleep 0.5; done; exit 1",
            ]
        )
    own = ["docker", "exec", "-i", "-e", f"DOCKER_CONFIG={SECOND}/client", NODE, "docker", "-H", socket]
    _done(["docker", "cp", str(archive), f"{NODE}:/var/lib/docker/image.tar"])
    if user[0]:
        _done([*own, "login", "-u", user[0], "--password-stdin", host], user[1])
    else:
        # Nodes never push to an upstream, so they have no reason to trust it.
        _done(["docker", "cp", ca, f"{NODE}:/etc/docker/certs.d/{host}/ca.crt"])
    _done([*own, "load", "-i", "/var/lib/docker/image.tar"])
    _done([*own, "tag", "berth-test-client:1", target])
    _done([*own, "push", target])
    if not user[0]:
        lab.on("node4", "rm", f"/etc/docker/certs.d/{host}/ca.crt")


def _skopeo(lab: Lab, archive: Path, target: str, host: str, user: tuple[str, str], ca: str) -> None:
    _needs("skopeo")
    certs = archive.parent / "certs"
    certs.mkdir(exist_ok=True)
    shutil.copy(ca, certs / "ca.crt")
    who = ["--dest-creds", ":".join(user)] if user[0] else ["--dest-no-creds"]
    _done(["skopeo", "copy", "--dest-cert-dir", str(certs), *who, f"docker-archive:{archive}", f"docker://{target}"])


def _containerd(lab: Lab, archive: Path, target: str, host: str, user: tuple[str, str], ca: str) -> None:
    ctr = ["docker", "exec", NODE, "ctr", "-n", "berth-test"]
    _done(["docker", "cp", str(archive), f"{NODE}:/var/lib/docker/image.tar"])
    _done([*ctr, "images", "import", "--no-unpack", "/var/lib/docker/image.tar"])
    _done([*ctr, "images", "tag", "--force", "docker.io/library/berth-test-client:1", target])
    certs = f"/etc/docker/certs.d/registry.{STACK}.berth.test:4000/ca.crt"
    who = ["--user", ":".join(user)] if user[0] else []
    _done([*ctr, "images", "push", "--tlscacert", certs, *who, target])


def _podman(lab: Lab, archive: Path, target: str, host: str, user: tuple[str, str], ca: str) -> None:
    _needs("podman")
    certs = archive.parent / "certs"
    certs.mkdir(exist_ok=True)
    shutil.copy(ca, certs / "ca.crt")
    # podman takes no longer path than fifty letters for what it keeps at run time.
    root = Path(tempfile.mkdtemp(prefix="podman-", dir="/tmp"))
    podman = ["podman", "--root", str(root), "--runroot", str(root / "run"), "--storage-driver", "vfs"]
    who = ["--creds", ":".join(user)] if user[0] else []
    _done([*podman, "load", "-i", str(archive)])
    _done([*podman, "push", "--cert-dir", str(certs), *who, "localhost/berth-test-client:1", target])
