"""Two lab nodes on a network of their own: one gets Berth's table, the other stands for accepted and other machines."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

import images
from components.firewall.component import SCRIPTS
from components.firewall.render import Bounds, Chain, Rules, entries
from components.lib.host_files.bundle import render
from components.lib.host_files.shell import as_root, stage_script
from operations.host.image import exists
from tests.integration.machines import build
from tests.lab_node import docker_options

Ended = subprocess.CompletedProcess[str]
STACK = "test"
LISTEN = Path(__file__).parent / "listen.py"
FIREWALLS = """\
set -eu
export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/mnt/apt.conf
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d
apt-get update
apt-get install --yes --no-install-recommends firewalld ufw
rm /usr/sbin/policy-rc.d
# A test starts them when it wants to meet them.
systemctl disable firewalld.service ufw.service
"""
CONNECT = Path(__file__).parent / "connect.py"


@dataclass(frozen=True)
class Box:
    """A container that is a machine."""

    name: str
    subnet: IPv4Network

    def at(self, number: int) -> str:
        """An address of the network that the machines share."""
        return str(self.subnet[number])

    def run(self, *command: str, text: str | None = None) -> Ended:
        """A command on it; `text` is its standard input."""
        words = ["docker", "exec", *(["-i"] if text is not None else []), self.name, *command]
        return subprocess.run(words, input=text, capture_output=True, text=True, check=False, timeout=300)

    def out(self, *command: str, text: str | None = None) -> str:
        """What a command says, which must end well."""
        ended = self.run(*command, text=text)
        assert ended.returncode == 0, f"{' '.join(command)}\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    def stage(self, verb: str, rules: Rules) -> Ended:
        """The stage's own command, as it goes over SSH."""
        return self.run(
            *("sh", "-c", as_root(stage_script(*SCRIPTS), verb, STACK, "firewall")), text=render(entries(rules))
        )

    def others(self) -> str:
        """Everybody's rules but Berth's."""
        text = self.out("nft", "-s", "list", "ruleset")
        # Docker gives its containers' name service other ports at each start.
        text = re.sub(r"127\.0\.0\.11:\d+", "127.0.0.11", text)
        return "".join(part for part in text.split("table ") if not part.startswith("inet berth {"))

    def boots(self) -> None:
        """Waits until it is up, with its Docker."""
        until(lambda: self.run("systemctl", "is-active", "docker").stdout.strip() == "active")


def until(good: Any, seconds: float = 60) -> None:
    """Waits for something that will be true soon."""
    deadline = time.monotonic() + seconds
    while not good():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.2)


def free_subnet() -> IPv4Network:
    """One that no other network of this Docker has."""
    ids = _docker("network", "ls", "--quiet").split()
    template = "{{range .IPAM.Config}}{{.Subnet}} {{end}}"
    taken = [
        IPv4Network(one) for one in _docker("network", "inspect", "--format", template, *ids).split() if "." in one
    ]
    return next(one for one in IPv4Network("10.79.0.0/16").subnets(new_prefix=24) if not any(map(one.overlaps, taken)))


def _docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Box, Box]]:
    """The node, and the machine that all others are on."""
    there = shutil.which("docker") and not os.environ.get("BERTH_NO_LAB")
    if not there or not exists(images.reference("lab-node")):
        pytest.skip("the image of a lab node is not here: ./berth test builds it where Docker runs")
    image = build("firewalls", FIREWALLS, tmp_path_factory.mktemp("apt"))
    name = f"berth-fw-{uuid.uuid4().hex[:8]}"
    subnet = free_subnet()
    made = [Box(f"{name}-node", subnet), Box(f"{name}-others", subnet)]
    try:
        _docker("network", "create", f"--subnet={subnet}", name)
        for box, address in zip(made, (11, 50), strict=True):
            options = [*docker_options(), f"--network={name}", f"--ip={box.at(address)}", "--entrypoint=/sbin/init"]
            _docker("run", "--detach", f"--name={box.name}", *options, image, *images.versions()["lab-node"]["command"])
        for box in made:
            box.boots()
        yield made[0], made[1]
    finally:
        for words in (["rm", "--force", "--volumes", *(box.name for box in made)], ["network", "rm", name]):
            subprocess.run(["docker", *words], capture_output=True, check=False)


@pytest.fixture
def node(boxes: tuple[Box, Box]) -> Iterator[Box]:
    """The node as it came, and again so afterwards."""
    found = boxes[0]
    before = found.others()
    yield found
    found.stage("remove", rules(found))
    assert found.others() == before, "rules of others were touched"


@pytest.fixture
def restarted(boxes: tuple[Box, Box]) -> Iterator[Box]:
    """The node, for what throws everybody's rules away: it is started again afterwards, and everything is back."""
    found = boxes[0]
    yield found
    found.stage("remove", rules(found))
    _docker("restart", "--time=1", found.name)
    found.boots()


@pytest.fixture
def others(boxes: tuple[Box, Box]) -> Box:
    """Where connections come from, each from an address of its own."""
    return boxes[1]


def rules(box: Box, **changes: Any) -> Rules:
    """A balancer with a server of the object store, in a stack whose other machines are at .12 and .13."""
    own = [box.at(number) for number in (1, 11, 12, 13)]
    usual = Rules(
        node="node1",
        address=box.at(11),
        chains=[Chain("object-store", [9000], own[1:]), Chain("store-endpoint", [9443], own)],
        bounds=Bounds([4000, 9443], own, each=20, outsiders=30, all=40),
        peers=own,
    )
    return replace(usual, **changes)


@pytest.fixture
def listening(node: Box) -> Iterator[Box]:
    """Somebody accepts on the ports of Berth's services, and on one that is nobody's."""
    source = LISTEN.read_text(encoding="utf-8")
    process = subprocess.Popen(
        ["docker", "exec", "-i", node.name, "python3", "-c", source, "4000", "9000", "9443", "8080"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "listening\n"
    yield node
    process.communicate("")


def connects(others: Box, source: int, port: int, count: int = 1, seconds: float = 0, *again: str) -> list[str]:
    """How each of `count` connections from an address ended; all stay open for so many seconds, saying half a word."""
    others.run("ip", "address", "add", f"{others.at(source)}/24", "dev", "eth0")
    text = CONNECT.read_text(encoding="utf-8")
    words = (others.at(11), str(port), others.at(source), str(count), str(seconds), *again)
    return others.out("python3", "-c", text, *words).splitlines()
