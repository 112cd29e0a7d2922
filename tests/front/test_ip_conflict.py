"""Before keepalived starts for the first time: nobody but another balancer may have the virtual address."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from components.lib.host_files.bundle import render as bundle
from components.lib.host_files.shell import as_root, stage_script
from components.load_balancer import render
from components.load_balancer.component import ADDRESS_SCRIPTS
from images import reference
from tests.front.world import image_is_here
from tests.unit.components.load_balancer.test_load_balancer import CONFIG

IMAGE = reference("lab-node")
SUBNET, VIRTUAL, OWN, PEER, OTHER = "10.198.77.0/28", "10.198.77.10", "10.198.77.2", "10.198.77.3", "10.198.77.4"


def docker(*words: str, check: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], input=stdin, capture_output=True, text=True, check=check, timeout=60)


@pytest.fixture(scope="module")
def machines() -> Iterator[dict[str, str]]:
    """Three machines on a network of their own; the first is the node."""
    if os.geteuid() != 0 or not image_is_here(IMAGE):
        pytest.skip(f"{IMAGE} is not built here, or this user may not use it: ./berth up builds it")
    network = f"berth-front-test-{uuid.uuid4().hex[:8]}"
    if docker("network", "create", "--subnet", SUBNET, network, check=False).returncode != 0:
        pytest.skip(f"a network {SUBNET} cannot be made here")
    made = {}
    try:
        for address in (OWN, PEER, OTHER):
            words = ["--network", network, "--ip", address, "--cap-add", "NET_ADMIN", "--entrypoint", "sleep"]
            made[address] = docker("run", "--detach", *words, IMAGE, "600").stdout.strip()
        yield made
    finally:
        docker("rm", "--force", *made.values(), check=False)
        docker("network", "rm", network, check=False)


@pytest.fixture
def apply(machines: dict[str, str]) -> Iterator[Callable[[], subprocess.CompletedProcess[str]]]:
    """The stage on the node."""
    front = replace(CONFIG, address=VIRTUAL, own_address=OWN, peers=[PEER], nodes=[OWN, PEER])
    command = as_root(stage_script(*ADDRESS_SCRIPTS), "apply", "test", render.ADDRESS_STAGE)
    node = machines[OWN]
    yield lambda: docker(
        "exec", "-i", node, "sh", "-c", command, check=False, stdin=bundle(render.address_entries(front))
    )
    for one in machines.values():
        docker("exec", one, "ip", "address", "del", f"{VIRTUAL}/32", "dev", "eth0", check=False)


def gets_the_address(machine: str) -> None:
    docker("exec", machine, "ip", "address", "add", f"{VIRTUAL}/32", "dev", "eth0")


def test_an_address_that_nobody_has_is_free(apply: Callable[[], subprocess.CompletedProcess[str]]) -> None:
    done = apply()
    assert done.returncode == 0, done.stderr


def test_an_address_in_use_is_refused_and_the_error_names_its_holder(
    machines: dict[str, str], apply: Callable[[], subprocess.CompletedProcess[str]]
) -> None:
    gets_the_address(machines[OTHER])
    done = apply()
    assert done.returncode != 0
    hardware = docker("exec", machines[OTHER], "cat", "/sys/class/net/eth0/address").stdout.strip()
    assert all(word in done.stderr for word in (VIRTUAL, hardware, "berth:loadBalancer.address")), done.stderr


@pytest.mark.parametrize("holder", [PEER, OWN])
def test_an_address_that_another_balancer_or_this_one_has_is_fine(
    machines: dict[str, str], apply: Callable[[], subprocess.CompletedProcess[str]], holder: str
) -> None:
    gets_the_address(machines[holder])
    done = apply()
    assert done.returncode == 0, done.stderr
