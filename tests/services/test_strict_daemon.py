"""The stage's script on a lab node: stricter defaults of its daemon, and who must not be broken by them."""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

import images
from components.docker_daemon.component import SCRIPTS, STAGE
from components.docker_daemon.render import entries
from components.lib.host_files.bundle import render
from components.lib.host_files.shell import stage_script
from config import stackfile
from config.model.stack import StackSettings
from tests.lab_node import docker_options
from tests.program.recorder import ROOT

NGINX, LAB_NODE = images.reference("nginx"), images.reference("lab-node")
Run = Callable[..., str]


def stack() -> StackSettings:
    return stackfile.parse("dev", yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text()))


@pytest.fixture(scope="module")
def on_node() -> Iterator[Run]:
    """Runs a command on a machine with a Docker of its own, which has nginx's image."""
    name = f"berth-test-{uuid.uuid4().hex[:8]}"
    try:
        subprocess.run(["docker", "image", "inspect", NGINX, LAB_NODE], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"{NGINX} and {LAB_NODE} are not built here: ./berth up builds them")

    def run(*words: str, text: str = "", wrong: bool = False) -> str:
        found = subprocess.run(
            ["docker", "exec", "-i", name, *words], input=text, text=True, capture_output=True, check=False, timeout=120
        )
        assert (found.returncode != 0) == wrong, found.stdout + found.stderr
        return found.stdout + found.stderr

    start = ["docker", "run", "--detach", "--name", name, "--stop-signal=SIGRTMIN+3", *docker_options(), LAB_NODE]
    subprocess.run(start, check=True, capture_output=True)
    try:
        deadline = time.monotonic() + 60
        while subprocess.run(["docker", "exec", name, "docker", "info"], check=False, capture_output=True).returncode:
            assert time.monotonic() < deadline, "the node's Docker does not come up"
            time.sleep(0.5)
        saved = subprocess.run(["docker", "save", NGINX], check=True, capture_output=True).stdout
        subprocess.run(["docker", "exec", "-i", name, "docker", "load"], input=saved, check=True, capture_output=True)
        yield run
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], check=False, capture_output=True)


def apply(on_node: Run, wrong: bool = False, **changes: Any) -> str:
    """The default settings of a node that has no Kolla and no Swarm, but for some."""
    settings = stack()
    text = render(entries(settings.docker_on(settings.nodes[0]).model_copy(update=changes)))
    return on_node("sh", "-c", stage_script(*SCRIPTS), "berth", "apply", "dev", STAGE, text=text, wrong=wrong)


def test_containers_on_the_default_bridge_are_not_cut_off_from_each_other(on_node: Run) -> None:
    for name in ("one", "two"):
        on_node("docker", "run", "--detach", "--restart=always", f"--name={name}", NGINX, "sleep", "1000000")
    refusal = apply(on_node, wrong=True)
    assert "could no longer reach each other: two one." in refusal and "set berth:docker.icc to true" in refusal
    on_node("test", "!", "-e", "/etc/docker/daemon.json")
    on_node("docker", "rm", "--force", "two")
    assert "docker: restart" in apply(on_node)
    assert on_node("docker", "inspect", "--format", "{{.State.Running}}", "one").strip() == "true"
    assert "docker: nothing" in apply(on_node)
    on_node("docker", "rm", "--force", "one")


def test_a_failed_dockerd_leaves_no_container_that_cannot_be_entered(on_node: Run) -> None:
    apply(on_node)
    start = ("docker", "run", "--detach", "--restart=unless-stopped")
    for words in (("--name=ours", "--label=berth.service=registry"), ("--name=theirs",)):
        on_node(*start, *words, NGINX, "sleep", "1000000")
    try:
        refusal = apply(on_node, wrong=True, extra={"storage-driver": "zfs"})
        assert "the old settings were put back and dockerd answers again" in refusal
        assert "docker exec and health checks fail in them: theirs. Stop and start each" in refusal
        on_node("docker", "exec", "ours", "true")
        on_node("docker", "exec", "theirs", "true", wrong=True)
        assert "theirs. Stop and start each" in apply(on_node)
        on_node("sh", "-c", "docker stop --time=1 theirs && docker start theirs")
        on_node("docker", "exec", "theirs", "true")
        assert "Stop and start" not in apply(on_node)
    finally:
        on_node("docker", "rm", "--force", "ours", "theirs")


def test_a_new_container_gains_no_rights_unless_it_says_so(on_node: Run) -> None:
    apply(on_node)
    status = ["docker", "run", "--rm", "--network=none", "--entrypoint=grep"]
    asked = [NGINX, "NoNewPrivs", "/proc/self/status"]
    assert on_node(*status, *asked).split() == ["NoNewPrivs:", "1"]
    assert on_node(*status, "--security-opt=no-new-privileges=false", *asked).split() == ["NoNewPrivs:", "0"]


def test_a_published_port_answers_on_the_nodes_own_loopback(on_node: Run) -> None:
    apply(on_node)
    serve = "while :; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhere' | nc -l -p 80; done"
    on_node("docker", "run", "--detach", "--name=web", "--publish=127.0.0.1:8081:80", NGINX, "sh", "-c", serve)
    try:
        deadline = time.monotonic() + 20
        said = ""
        while "here" not in said and time.monotonic() < deadline:
            said = on_node("sh", "-c", "curl -s -m 2 http://127.0.0.1:8081/ || true")
        assert "here" in said
        assert "docker-proxy" not in on_node("ps", "-ef")
    finally:
        on_node("docker", "rm", "--force", "web")
