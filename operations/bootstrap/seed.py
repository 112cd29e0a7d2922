"""Fills the storage of the seed registry and writes the image lock.

The registry that was just built runs as a process on the loopback address, over a folder, takes the service images by
an ordinary `docker push`, and ends; a stack's seed registry later serves that folder read-only.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import images

from .errors import BootstrapError
from .shell import Shell

PATIENCE = 30.0

CONFIG = """\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {storage}}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


def read_lock(home: Path) -> dict[str, dict[str, str]]:
    """The image lock, empty where there is none that can be read."""
    try:
        lock: dict[str, dict[str, str]] = json.loads((home / "images.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return lock


def inspect() -> dict[str, dict[str, Any]]:
    """What Docker says of each image of Berth that it has, by name."""
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
    with _registry(home, shell) as address:
        digests = {name: _push(name, address, shell) for name in images.SERVICES}
    lock = {}
    for name in images.NAMES:
        version = found[name]["Config"]["Labels"]["org.opencontainers.image.version"]
        lock[name] = {"reference": images.reference(name), "id": found[name]["Id"], "version": version}
        if name in digests:
            lock[name]["digest"] = digests[name]
    temporary = home / "images.json.new"
    temporary.write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")
    temporary.replace(home / "images.json")


def _push(name: str, address: str, shell: Shell) -> str:
    tag = images.input_hash(name)
    target = f"{address}/berth/{name}:{tag}"
    shell.run(["docker", "tag", images.reference(name), target])
    try:
        shell.run(["docker", "push", target])
    finally:
        subprocess.run(["docker", "rmi", "--no-prune", target], capture_output=True, check=False)
    accept = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
    url = f"http://{address}/v2/berth/{name}/manifests/{tag}"
    request = urllib.request.Request(url, method="HEAD", headers={"Accept": accept})
    with _direct().open(request, timeout=PATIENCE) as answer:
        return str(answer.headers["Docker-Content-Digest"])


def _direct() -> urllib.request.OpenerDirector:
    # A proxy of this machine knows nothing of its loopback address.
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def _registry(home: Path, shell: Shell) -> Iterator[str]:
    storage = home / "seed"
    storage.mkdir(parents=True, exist_ok=True)
    storage.chmod(0o755)
    with tempfile.TemporaryDirectory(prefix="seed-", dir=home / "cache") as folder:
        program, config = Path(folder) / "registry", Path(folder) / "config.yml"
        _extract(images.reference("registry"), program, shell)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config.write_text(CONFIG.format(storage=json.dumps(str(storage)), port=port), encoding="utf-8")
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
            _wait(process, port, shell)
            yield f"127.0.0.1:{port}"
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


def _wait(process: subprocess.Popen[bytes], port: int, shell: Shell) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with _direct().open(f"http://127.0.0.1:{port}/v2/", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise BootstrapError(f"The registry that fills the seed storage does not start; see {shell.log}.")
