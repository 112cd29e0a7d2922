"""Berth's own images on this machine's Docker, each service in the bounds that the program gives it."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException, NotFound

import images
from components.lib.service.confinement import Confinement
from plugins.providers.docker_container_body import container_body

SECONDS = 40.0


@dataclass
class Service:
    """A container that runs."""

    api: docker.APIClient
    id: str

    def state(self) -> Mapping[str, Any]:
        """What Docker says of it."""
        found: Mapping[str, Any] = self.api.inspect_container(self.id)
        return found

    def run(self, *words: str) -> tuple[int, str]:
        """Exit code and output of a command in it."""
        made = self.api.exec_create(self.id, list(words))
        output = self.api.exec_start(made["Id"])
        return self.api.exec_inspect(made["Id"])["ExitCode"], output.decode(errors="replace")

    def becomes(self, health: str) -> None:
        """Waits until Docker says so of its health."""
        deadline = time.monotonic() + SECONDS
        while (state := self.state()["State"])["Health"]["Status"] != health:
            if time.monotonic() > deadline:
                log = self.api.logs(self.id, tail=20).decode(errors="replace")
                raise AssertionError(f"{state}\n{log}")
            time.sleep(0.2)

    def dies(self) -> None:
        """Its first process is killed; Docker starts it again."""
        before = self.state()["State"]["Pid"]
        os.kill(before, 9)
        deadline = time.monotonic() + SECONDS
        while self.state()["State"]["Pid"] in (0, before):
            assert time.monotonic() < deadline, self.api.logs(self.id, tail=20).decode(errors="replace")
            time.sleep(0.1)


Start = Callable[..., Service]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a service from the image of a name; gone after the test."""
    if os.geteuid() != 0:
        pytest.skip("kills processes of containers, so it needs root")
    try:
        api = docker.APIClient(version="auto")
    except DockerException:
        pytest.skip("no Docker daemon answers on this machine")
    made: list[str] = []

    def starter(
        image: str,
        confinement: Confinement,
        *,
        command: Sequence[str],
        volumes: Mapping[str, Path],
        writable: Sequence[str] = (),
        **more: Any,
    ) -> Service:
        reference = images.reference(image)
        try:
            api.inspect_image(reference)
        except NotFound:
            pytest.skip(f"{reference} is not built here: ./berth up builds it")
        for path, here in volumes.items():
            here.chmod(0o777 if path in writable else 0o755)
        inputs = {
            **_inputs(confinement),
            **more,
            "image": reference,
            "command": list(command),
            "networkMode": "none",
            "restart": "always",
            "volumes": [
                {"containerPath": path, "hostPath": str(here), "readOnly": path not in writable}
                for path, here in volumes.items()
            ],
        }
        id_ = api.create_container_from_config(container_body(inputs), f"berth-test-{uuid.uuid4().hex[:8]}")["Id"]
        made.append(id_)
        api.start(id_)
        return Service(api, id_)

    yield starter
    for id_ in made:
        api.remove_container(id_, force=True, v=True)
    api.close()


def _inputs(confinement: Confinement) -> dict[str, Any]:
    """The container's inputs as a provider is given them, but for a check that does not let a test wait."""
    given = confinement.options()
    return {
        "readOnly": given["read_only"],
        "securityOpts": given["security_opts"],
        "pidMode": given["pid_mode"],
        "capabilities": {"drops": ["ALL"], "adds": [f"CAP_{name}" for name in confinement.capabilities]},
        "tmpfs": given["tmpfs"],
        "memory": given["memory"],
        "memorySwap": given["memory_swap"],
        "healthcheck": {"tests": ["CMD", *confinement.healthcheck], "interval": "500ms", "retries": 1},
    }
