"""Fills the storage of the seed registry and writes the image lock.

The registry that was just built runs as a process on the loopback address, over a folder, takes the service images by
an ordinary `docker push`, and ends; a stack's seed registry later serves that folder read-only. Other accounts of the
machine reach the loopback address too: they have no password for it, and what nodes are pinned to is what Docker says
that it sent, never what a tag of that registry says afterwards.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bcrypt

import images
from operations.host.errors import BootstrapError
from operations.host.shell import Shell
from operations.workspace import write_private

TIMEOUT = 30.0

CONFIG = """\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {storage}}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth: {{htpasswd: {{realm: berth, path: {passwords}}}}}
"""
USER = "berth"
SENT = re.compile(rb"digest: (sha256:[0-9a-f]{64}) size: \d+")


@dataclass(frozen=True)
class Loopback:
    """The registry that is being filled."""

    address: str
    storage: Path
    login: Path
    """Folder with the login, in the form of Docker's own settings."""
    password: str = field(repr=False)


def read_lock(home: Path) -> dict[str, dict[str, str]]:
    """The image lock, empty where there is none that can be read."""
    try:
        lock: dict[str, dict[str, str]] = json.loads((home / "images.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return lock


def inspect() -> dict[str, dict[str, Any]]:
    """Docker's data on each of Berth's images that it has, by name."""
    references = {images.reference(name): name for name in images.NAMES}
    answer = subprocess.run(["docker", "image", "inspect", *references], capture_output=True, text=True, check=False)
    found: dict[str, dict[str, Any]] = {}
    for image in json.loads(answer.stdout or "[]"):
        for tag in image.get("RepoTags") or []:
            if tag in references:
                found[references[tag]] = image
    return found


def is_current(home: Path, found: dict[str, dict[str, Any]] | None = None) -> bool:
    """Whether Docker, the storage and the lock all hold the images that the recipes describe."""
    lock = read_lock(home)
    found = inspect() if found is None else found
    return all(
        name in found
        and lock.get(name, {}).get("reference") == images.reference(name)
        and lock[name].get("id") == found[name]["Id"]
        and (name not in images.SERVICES or images.stored(home / "seed", name, lock[name].get("digest", "")))
        for name in images.NAMES
    )


def fill(home: Path, shell: Shell) -> None:
    """Push the service images into the storage and write the lock."""
    found = inspect()
    missing = [name for name in images.NAMES if name not in found]
    if missing:
        raise BootstrapError(f"Docker has lost the images {', '.join(missing)} while they were stored; run it again.")
    with _registry(home, shell) as registry:
        digests = {name: push(name, found[name]["Id"], registry, shell) for name in images.SERVICES}
    lock = {}
    for name in images.NAMES:
        version = found[name]["Config"]["Labels"]["org.opencontainers.image.version"]
        lock[name] = {"reference": images.reference(name), "id": found[name]["Id"], "version": version}
        if name in digests:
            lock[name]["digest"] = digests[name]
    temporary = home / "images.json.new"
    temporary.write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")
    temporary.replace(home / "images.json")


def push(name: str, identity: str, registry: Loopback, shell: Shell) -> str:
    """Store an image that Docker has under that id; the digest of what Docker sent, once the storage holds that."""
    target = f"{registry.address}/berth/{name}:{images.input_hash(name)}"
    shell.run(["docker", "tag", identity, target])
    try:
        with tempfile.TemporaryFile() as output:
            environment = {"DOCKER_CONFIG": str(registry.login)}
            shell.run(["docker", "push", target], environment=environment, target=output)
            output.seek(0)
            sent = SENT.findall(output.read())
    finally:
        subprocess.run(["docker", "rmi", "--no-prune", target], capture_output=True, check=False)
    digest = sent[-1].decode() if sent else ""
    if not images.stored(registry.storage, name, digest) or not _holds(registry.storage, digest, identity):
        raise BootstrapError(
            f"What the seed storage holds is not the image {name} that Docker has ({identity}): run it again, and look"
            f" who else writes to {registry.storage} or listens on the loopback address if it happens twice."
        )
    shell.note(f"{name} is stored as {digest}")
    return digest


def _holds(storage: Path, digest: str, identity: str) -> bool:
    """Whether the manifest in the storage is the image, which Docker names by its configuration or by its manifest."""
    value = digest.partition(":")[2]
    content = (storage / "docker/registry/v2/blobs/sha256" / value[:2] / value / "data").read_bytes()
    if hashlib.sha256(content).hexdigest() != value:
        return False
    config = json.loads(content).get("config") or {}
    return identity in (digest, config.get("digest"))


def _direct() -> urllib.request.OpenerDirector:
    # A proxy of this machine knows nothing of its loopback address.
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def _registry(home: Path, shell: Shell) -> Iterator[Loopback]:
    storage = home / "seed"
    storage.mkdir(parents=True, exist_ok=True)
    storage.chmod(0o755)
    with tempfile.TemporaryDirectory(prefix="seed-", dir=home / "cache") as folder:
        program, config = Path(folder) / "registry", Path(folder) / "config.yml"
        _extract(images.reference("registry"), program, shell)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        password, hashed = secrets.token_urlsafe(32), Path(folder) / "htpasswd"
        # Cheap to check: nobody guesses 256 bits.
        text = f"{USER}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n"
        write_private(hashed, text)
        paths = {"storage": json.dumps(str(storage)), "passwords": json.dumps(str(hashed))}
        config.write_text(CONFIG.format(port=port, **paths), encoding="utf-8")
        address, login = f"127.0.0.1:{port}", Path(folder) / "docker"
        login.mkdir(0o700)
        write_private(login / "config.json", json.dumps({"auths": {address: {"auth": _basic(password)}}}))
        environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
        with shell.log.open("ab") as log:
            process = subprocess.Popen(
                [str(program), "serve", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                # The seed registry reads the storage under another user.
                umask=0o022,
            )
        try:
            _wait(process, address, password, shell)
            yield Loopback(address, storage, login, password)
        finally:
            process.terminate()
            process.wait()


def _extract(reference: str, program: Path, shell: Shell) -> None:
    name = f"berth-extract-{os.getpid()}"
    shell.run(["docker", "create", f"--name={name}", reference])
    try:
        shell.run(["docker", "cp", f"{name}:/bin/registry", str(program)])
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)


def _basic(password: str) -> str:
    return base64.b64encode(f"{USER}:{password}".encode()).decode()


def _wait(process: subprocess.Popen[bytes], address: str, password: str, shell: Shell) -> None:
    deadline = time.monotonic() + TIMEOUT
    request = urllib.request.Request(f"http://{address}/v2/", headers={"Authorization": f"Basic {_basic(password)}"})
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with _direct().open(request, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise BootstrapError(f"The registry that fills the seed storage does not start; see {shell.log}.")
