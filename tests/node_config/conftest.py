"""One lab node for the whole module, set up by cloud-init from a seed before its first boot."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from components.node_config.cloud_init import meta_data, network_config, user_data
from components.node_config.machine import Machine, Secrets, machines
from config.stackfile import parse
from operations.host import node_tools
from tests.front.certificates import Authority
from tests.lab_node import docker_options
from tests.unit.components.node_stack import HASH, everything


@dataclass(frozen=True)
class Box:
    """A container that is a machine."""

    name: str

    def run(self, *command: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """A command on it; `text` is its standard input."""
        words = ["docker", "exec", *(["-i"] if text is not None else []), self.name, *command]
        return subprocess.run(words, input=text, capture_output=True, text=True, check=False, timeout=300)

    def out(self, *command: str) -> str:
        """What a command says, which must end well."""
        ended = self.run(*command)
        assert ended.returncode == 0, f"{' '.join(command)}\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    def put(self, path: str, text: str) -> None:
        """Writes a file."""
        ended = self.run("sh", "-c", 'mkdir -p "$(dirname "$0")" && cat >"$0"', path, text=text)
        assert ended.returncode == 0, ended.stderr


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Who signs the certificates of Docker's port."""
    return Authority()


@pytest.fixture(scope="session")
def machine(authority: Authority) -> Machine:
    """A Debian node with everything; its card is the container's own, its certificates are real ones."""
    text = everything("debian")
    first = text["config"]["berth:nodes"][0]["config"]
    card = {**first["interfaces"][0], "name": "eth0"}
    del card["mac"]
    first["interfaces"] = [card]
    server = authority.issue("coreos1", "127.0.0.1")
    contents = {"ca.pem": authority.certificate, "cert.pem": server.certificate}
    for file in first["files"]:
        if file["path"].startswith("/etc/docker/tls/") and "content" in file:
            file["content"] = contents[file["path"].rpartition("/")[2]]
    secrets = Secrets({"usera": HASH}, {"etcd-key": "KEY\n", "docker-key": server.key})
    return next(machines(parse("test", text), secrets))


@pytest.fixture(scope="session")
def box(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """The node after cloud-init has run from its own units, as on a first boot."""
    if shutil.which("docker") is None or os.environ.get("BERTH_NO_LAB") or not node_tools.is_there():
        pytest.skip("the image of a lab node with cloud-init is not here: ./berth test builds it where Docker runs")
    seed = tmp_path_factory.mktemp("seed")
    for folder in (seed, *seed.parents[:2]):
        folder.chmod(0o755)
    texts = {"user-data": user_data, "network-config": network_config, "meta-data": meta_data}
    for name, render in texts.items():
        (seed / name).write_text(render(machine), encoding="utf-8")
    name = f"berth-test-nodes-{uuid.uuid4().hex[:8]}"
    options = [*docker_options(), f"--volume={seed}:/var/lib/cloud/seed/nocloud:ro"]
    try:
        command = ["docker", "run", "--detach", f"--name={name}", *options, node_tools.reference()]
        subprocess.run(command, capture_output=True, check=True)
        made = Box(name)
        made.run("timeout", "200", "cloud-init", "status", "--wait")
        yield made
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=False)
