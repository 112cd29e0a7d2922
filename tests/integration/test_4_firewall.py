"""Outsiders on the lab's own network get no connection to the object store, before and after a node restarts."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

import images
from tests.integration.lab import NODES, STACK, SUBNET, Lab, run

pytestmark = pytest.mark.lab

OUTSIDER = f"berth-{STACK}-outsider"
CONNECT = """\
import socket, sys, time
host, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
end = time.monotonic() + seconds
while True:
    try:
        socket.create_connection((host, port), timeout=1).close()
        print("open", flush=True)
    except ConnectionRefusedError:
        print("refused", flush=True)
    except OSError:
        print("silent", flush=True)
    if time.monotonic() > end:
        break
    time.sleep(0.02)
"""


FLOOD = """\
import socket, sys, time
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
held = []
for _ in range(count):
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex((host, port))
    held.append(one)
time.sleep(1)
for one in held:
    try:
        one.send(b"\\x16\\x03\\x01\\x02\\x00")
    except OSError:
        pass
print("held", flush=True)
time.sleep(5)
"""


@pytest.fixture(scope="module")
def outsider(lab: Lab) -> Iterator[str]:
    """A machine on the lab's network that is no node of it, and has no address that the stack had a while ago."""
    where = ("--network", f"berth-{STACK}", "--ip", f"{SUBNET}.78")
    words = ("docker", "run", "-d", "--name", OUTSIDER, *where, "--entrypoint", "sleep", images.reference("lab-node"))
    made = run([*words, "3600"])
    assert made.returncode == 0, made.stderr
    yield OUTSIDER
    run(["docker", "rm", "-f", OUTSIDER])


def tries(container: str, host: str, port: int) -> str:
    """How a connection from a container ends."""
    return str(run(["docker", "exec", container, "python3", "-c", CONNECT, host, str(port), "0"]).stdout).strip()


def test_an_outsider_reaches_the_registry_and_nothing_behind_it(lab: Lab, outsider: str) -> None:
    balancers = [f"{SUBNET}.{number}" for number in (10, 11, 12)]
    for host in balancers:
        assert tries(outsider, host, 4000) == "open"
        assert tries(outsider, host, 9443) == "refused"
    for number in range(11, 15):
        assert tries(outsider, f"{SUBNET}.{number}", 9000) == "refused"
    for port in (4010, 4020, 4021):
        assert tries(outsider, f"{SUBNET}.11", port) == "refused"


def test_nodes_and_deploy_host_are_let_in(lab: Lab) -> None:
    for node in NODES:
        assert tries(f"berth-{STACK}-{node}", f"{SUBNET}.10", 9443) == "open"
        assert tries(f"berth-{STACK}-{node}", f"{SUBNET}.13", 9000) == "open"
    asked = run(["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", f"https://{SUBNET}.10:9443/minio/health/live"])
    assert asked.stdout == "200"
    refused = run(["curl", "-sk", "-o", "/dev/null", f"https://{SUBNET}.13:9000/minio/health/live"])
    assert refused.returncode == 7, "the deploy host comes by the balancers"


def test_half_open_connections_of_one_outsider_leave_everybody_else_served(lab: Lab, outsider: str) -> None:
    balancer = f"{SUBNET}.11"
    words = ["docker", "exec", outsider, "python3", "-c", FLOOD, balancer, "4000", "3000"]
    flood = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert flood.stdout is not None and flood.stdout.readline() == "held\n"
        there = ("ss", "-tnH", "state", "established", "src", f"{balancer}:4000", "dst", f"{SUBNET}.78")
        assert 0 < len(lab.on("node1", *there).splitlines()) <= 1024
        assert lab.on("node1", "curl", "-s", "-m", "2", "http://127.0.0.1:4012/alive") == "alive\n"
        ask = ("curl", "-sk", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", f"https://{balancer}:4000/v2/")
        assert lab.on("node3", *ask) == "401"
        assert tries(outsider, balancer, 4000) == "silent", "the same address has to wait"
    finally:
        flood.communicate()


def test_the_rules_are_back_before_the_object_store_answers(lab: Lab, outsider: str) -> None:
    words = ["docker", "exec", outsider, "python3", "-c", CONNECT, f"{SUBNET}.14", "9000", "25"]
    trying = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    run(["docker", "restart", "-t", "1", f"berth-{STACK}-node4"])
    health = f"https://{SUBNET}.14:9000/minio/health/live"
    ask = ("curl", "-sk", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}", health)
    deadline = time.monotonic() + 60
    while lab.on("node4", *ask, check=False) != "200":
        assert time.monotonic() < deadline, "MinIO is not back"
        time.sleep(0.2)
    told, _ = trying.communicate()
    assert "open" not in told.split() and "refused" in told.split()

    def when(unit: str, what: str) -> int:
        return int(lab.on("node4", "systemctl", "show", "-p", what, "--value", unit))

    loaded = when("berth-firewall.service", "ActiveEnterTimestampMonotonic")
    assert 0 < loaded < when("docker.service", "InactiveExitTimestampMonotonic")
    deadline = time.monotonic() + 120
    while lab.try_berth("verify")[0] != 0:
        assert time.monotonic() < deadline, lab.try_berth("verify")[1]
        time.sleep(2)


def test_a_table_that_is_gone_is_found_and_put_back(lab: Lab) -> None:
    lab.on("node3", "nft", "delete", "table", "inet", "berth")
    code, output = lab.try_berth("verify")
    assert code == 3 and "table inet berth is missing" in output
    code, output = lab.try_berth("drift")
    assert code == 3 and "table inet berth" in output
    assert "firewall-node3" in lab.berth("up", "--repair", "--yes")
    assert "inet berth" in lab.on("node3", "nft", "list", "tables")
    assert lab.try_berth("drift")[0] == 0
