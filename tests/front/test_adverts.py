"""Who may take the virtual address away: the rendered configuration in the image's own keepalived."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from components.lib.host_files.bundle import File
from components.load_balancer import render
from tests.front.world import IMAGE, World, image_is_here
from tests.unit.components.load_balancer.test_load_balancer import CONFIG

SUBNET, VIRTUAL, OUTSIDER = "10.198.78.0/28", "10.198.78.10", "10.198.78.1"
BALANCERS = ["10.198.78.2", "10.198.78.3"]
CHECK = "    vrrp_check_unicast_src\n"
VRRP, HIGHEST = 112, 255


def docker(*words: str, check: bool = True) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=check, timeout=60).stdout


@pytest.fixture(scope="module")
def network() -> Iterator[str]:
    """A network of its own; this machine is the outsider in it."""
    if os.geteuid() != 0 or not image_is_here():
        pytest.skip(f"{IMAGE} is not built here, or this user may not use it: ./berth up builds it")
    name = f"berth-front-test-{uuid.uuid4().hex[:8]}"
    made = subprocess.run(["docker", "network", "create", "--subnet", SUBNET, name], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"a network {SUBNET} cannot be made here")
    yield name
    docker("network", "rm", name, check=False)


@pytest.fixture(params=[True, False], ids=["as-rendered", "without-the-check"])
def pair(request: pytest.FixtureRequest, network: str, tmp_path: Path) -> Iterator[tuple[bool, list[str]]]:
    """Both balancers, one of which holds the address; without the check to see that the adverts would be believed."""
    checked, started = bool(request.param), list[str]()
    try:
        for own in BALANCERS:
            config = replace(CONFIG, address=VIRTUAL, own_address=own, peers=[one for one in BALANCERS if one != own])
            folder = tmp_path / own
            folder.mkdir()
            for entry in render.address_entries(config):
                if isinstance(entry, File):
                    assert CHECK in entry.content or not entry.path.endswith("keepalived.conf")
                    content = entry.content if checked else entry.content.replace(CHECK, "")
                    (folder / Path(entry.path).name).write_text(content)
                    (folder / Path(entry.path).name).chmod(int(entry.mode, 8))
            words = ["--network", network, "--ip", own, "--cap-drop", "ALL", "--entrypoint", "sh"]
            for name in ("NET_ADMIN", "NET_RAW", "SYS_NICE", "SETGID", "SETUID"):
                words += ["--cap-add", name]
            words += ["--volume", f"{folder}:{render.ADDRESS_DIRECTORY}:ro", IMAGE, render.ADDRESS_SCRIPT]
            words += ["start", own, f"{render.ADDRESS_DIRECTORY}/keepalived.conf"]
            started.append(docker("run", "--detach", *words).strip())
        # On a busy machine the address moves once more right after the start.
        World.wait(lambda: keeps_its_holder(started, 2), 60)
        yield checked, started
    finally:
        docker("rm", "--force", *started, check=False)


def holders(containers: list[str]) -> list[str]:
    """Those that have the virtual address now."""
    return [one for one in containers if f"{VIRTUAL}/" in docker("exec", one, "ip", "-o", "-4", "address", "show")]


def keeps_its_holder(containers: list[str], seconds: float) -> bool:
    """Whether exactly one has the address, and the same one for this long."""
    first, deadline = holders(containers), time.monotonic() + seconds
    while time.monotonic() < deadline:
        if len(first) != 1 or holders(containers) != first:
            return False
    return True


def advert(to: str) -> bytes:
    """Version 3, the pair's own router id, the highest priority there is, the right address and checksum."""
    addresses = IPv4Address(OUTSIDER).packed + IPv4Address(to).packed
    body = struct.pack("!BBBBH", 3 << 4 | 1, CONFIG.router_id, HIGHEST, 1, 10)
    rest = IPv4Address(VIRTUAL).packed
    whole = addresses + struct.pack("!BBH", 0, VRRP, 12) + body + b"\0\0" + rest
    total = sum(struct.unpack(f"!{len(whole) // 2}H", whole))
    total = (total & 0xFFFF) + (total >> 16)
    return body + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + rest


@contextmanager
def adverts() -> Iterator[None]:
    """Ten adverts a second to both balancers, as a holder sends them, for as long as the block runs."""
    done = threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, VRRP) as outsider:
            outsider.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
            outsider.bind((OUTSIDER, 0))
            while not done.wait(0.1):
                for to in BALANCERS:
                    outsider.sendto(advert(to), (to, 0))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_an_advert_from_a_machine_that_is_no_balancer_is_ignored(pair: tuple[bool, list[str]]) -> None:
    checked, balancers = pair
    with adverts():
        if checked:
            # Between the two it may move: there is no nginx here, whose state decides between them.
            assert all(holders(balancers) or holders(balancers) for _ in range(20))
        else:
            World.wait(lambda: not holders(balancers), 30)
