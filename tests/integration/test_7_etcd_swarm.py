"""etcd and Swarm outlive the loss of a member and a manager, and change one at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.node_config.pieces import units
from tests.integration.lab import NODES, STACK, SUBNET, Lab, run
from tests.integration.registry import berth_registry, random_image
from tests.integration.test_5_rolling import under_load
from tests.unit.components.node_stack import document, machines_of

pytestmark = pytest.mark.lab

# nginx as the seed registry's image brings it says nothing by itself.
CONF = 'events {} http { server { listen 80; location / { return 200 "from $hostname\\n"; } } }'
PORT = 8088


@pytest.fixture(scope="module")
def settings(lab: Lab) -> Iterator[Any]:
    """Changes the stack's settings until the next change: an `up` undoes what the test before has done."""
    yield lab.write_settings
    lab.write_settings()
    lab.berth("up", "--yes")


def etcdctl(lab: Lab, node: str, *words: str, check: bool = True) -> str:
    script = 'set -a; . /etc/berth/etcd/etcdctl.env; exec timeout 20 etcdctl "$@"'
    return lab.on(node, "sh", "-c", script, "etcdctl", *words, check=check)


def until(holds: Callable[[], object], seconds: float, what: Callable[[], object]) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what()
        time.sleep(0.5)


def about_clusters(lab: Lab) -> dict[tuple[str, str], tuple[bool, str]]:
    _, output = lab.try_berth("verify", "--json")
    found = json.loads(output[output.index("{\n") :])["answers"]
    return {
        (one["question"], one["node"]): (one["ok"], one["answer"])
        for one in found
        if "etcd" in one["question"] or "swarm" in one["question"]
    }


def is_green(lab: Lab) -> bool:
    return lab.try_berth("verify")[0] == 0


def test_verify_asks_every_member_and_every_manager(lab: Lab) -> None:
    found = about_clusters(lab)
    assert all(ok for ok, _ in found.values()), found
    for node in ("node1", "node2", "node3"):
        assert found["etcd's members", node] == (True, "node1, node2, node3")
        assert found["etcd reads what it holds", node] == (True, "yes")
        assert found["etcd reads what the majority holds", node] == (True, "yes")
    for node in ("node2", "node3", "node4"):
        assert found["the swarm's nodes", node] == (True, "3 ready")
        assert found["the swarm's networks", node] == (True, "backend 10.20.1.0/24")


def test_verify_status_and_drift_leave_etcd_as_it_is(lab: Lab) -> None:
    def position() -> dict[str, int]:
        """The data's revision, and how far the members' log is."""
        [told] = json.loads(etcdctl(lab, "node1", "endpoint", "status", "-w", "json"))
        return {"revision": told["Status"]["header"]["revision"], "log": told["Status"]["raftIndex"]}

    before = position()
    for command in ("verify", "status", "drift"):
        lab.berth(command)
    after = position()
    assert after["revision"] == before["revision"]
    # The hourly compaction is an entry of its own.
    assert after["log"] - before["log"] <= 1


def test_with_a_member_and_a_manager_gone_both_serve_and_both_are_named(lab: Lab) -> None:
    # No manager's daemon and no member comes back by itself while it is stopped like this.
    lab.on("node3", "systemctl", "kill", "--signal=STOP", "etcd")
    lab.on("node4", "systemctl", "kill", "--kill-whom=main", "--signal=STOP", "docker")
    image = lab.on("node2", "docker", "inspect", "--format", "{{.Config.Image}}", "berth-load-balancer").strip()
    try:
        until(
            lambda: "OK" in etcdctl(lab, "node1", "put", "message", "Hello world", check=False),
            20,
            lambda: etcdctl(lab, "node1", "put", "message", "Hello world"),
        )
        assert etcdctl(lab, "node2", "get", "--print-value-only", "message") == "Hello world\n"
        # The document's service, of two replicas.
        until(
            lambda: run(["docker", "exec", f"berth-{STACK}-node2", "docker", "node", "ls"]).returncode == 0,
            30,
            lambda: lab.on("node2", "docker", "node", "ls"),
        )
        lab.on("node2", "sh", "-c", f"printf '%s' '{CONF}' | docker config create web -")
        lab.on(
            *("node2", "docker", "service", "create", "--quiet", "--name", "web", "--replicas", "2"),
            *("--network", "backend", "--config", "source=web,target=/etc/nginx/nginx.conf"),
            *("--publish", f"mode=host,target=80,published={PORT}", "--no-resolve-image", "--detach"),
            *("--constraint", "node.hostname!=node4", image, "nginx", "-g", "daemon off;"),
        )

        def answers() -> list[str]:
            return [run(["curl", "-sm", "2", f"http://{SUBNET}.{last}:{PORT}"]).stdout for last in (12, 13)]

        until(lambda: all(text.startswith("from ") for text in answers()), 40, answers)
        found = about_clusters(lab)
        assert found["etcd's member is healthy", "node1"][0]
        assert not found["etcd's member is healthy", "node3"][0]
        ok, text = found["the swarm's nodes", "node2"]
        assert not ok
        assert text.startswith("node4 is "), text
    finally:
        lab.on("node3", "systemctl", "kill", "--signal=CONT", "etcd")
        lab.on("node4", "systemctl", "kill", "--kill-whom=main", "--signal=CONT", "docker")
        lab.on("node2", "docker", "service", "rm", "web", check=False)
        lab.on("node2", "docker", "config", "rm", "web", check=False)
        etcdctl(lab, "node1", "del", "message", check=False)
    until(lambda: is_green(lab), 60, lambda: lab.try_berth("verify")[1])


def test_a_lost_member_stops_the_rolling_restart(lab: Lab, settings: Any) -> None:
    def started(node: str) -> str:
        return lab.on(node, "systemctl", "show", "-p", "ExecMainStartTimestampMonotonic", "etcd")

    before = {node: started(node) for node in ("node1", "node2")}
    lab.on("node3", "systemctl", "stop", "etcd")
    settings(etcd={"heartbeatInterval": 120})
    try:
        code, output = lab.try_berth("up", "--yes")
    finally:
        lab.on("node3", "systemctl", "start", "etcd")
    assert code == 1
    assert "etcd on node1 is not restarted: without it 1 of 3 members would be healthy, and 2 are needed" in output
    assert "not answering: node3" in output
    assert "Traceback" not in output
    assert {node: started(node) for node in before} == before
    lab.berth("up", "--yes")
    assert {node for node in before if started(node) != before[node]} == {"node1", "node2"}


def test_a_manager_lost_while_it_joined_joins_with_the_next_run(lab: Lab, settings: Any) -> None:
    old = lab.on("node2", "docker", "swarm", "join-token", "--quiet", "worker")
    # What a join leaves that was killed in the middle: the others have counted it, it does not know of them.
    lab.on("node4", "docker", "swarm", "leave", "--force")
    lab.on("node4", "sh", "-c", "mkdir -p /var/lib/docker/swarm && echo joining >/var/lib/docker/swarm/berth")
    settings(swarm={**lab.document()["config"]["berth:swarm"], "tokenVersion": 2})
    output = lab.berth("up", "--yes")
    assert "SWMTKN" not in output
    nodes = lab.on("node3", "docker", "node", "ls", "--format", "{{.Hostname}} {{.Status}} {{.ManagerStatus}}")
    assert sorted(line.split()[:2] for line in nodes.splitlines()) == [[f"node{n}", "Ready"] for n in (2, 3, 4)]
    assert nodes.count("Leader") + nodes.count("Reachable") == 3
    assert lab.on("node2", "docker", "swarm", "join-token", "--quiet", "worker") != old


@pytest.mark.full
def test_when_every_daemon_restarts_the_store_never_misses_two_servers(lab: Lab, settings: Any) -> None:
    """On the swarm's nodes containers end with their daemon: what they are in the middle of is cut, and repeated."""
    registry, image = berth_registry(lab, "push"), random_image(2_000_000)
    registry.push("team/rolling", "1", image)
    before = {node: lab.docker_starts(node) for node in NODES}
    settings(docker={"mtu": 1400})
    with under_load(registry, image, writes=[0], tries=3) as failed:
        lab.berth("up", "--yes")
    assert all(lab.docker_starts(node) != before[node] for node in NODES)
    assert failed == []


def test_a_restored_snapshot_is_what_all_members_hold(lab: Lab, tmp_path: Path) -> None:
    etcdctl(lab, "node1", "put", "kept", "before")
    file = tmp_path / "etcd.snapshot"
    lab.berth("etcd", "backup", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    etcdctl(lab, "node1", "put", "kept", "after")
    code, output = lab.try_berth("etcd", "restore", str(file))
    assert (code, "--yes" in output) == (2, True)
    assert etcdctl(lab, "node2", "get", "--print-value-only", "kept") == "after\n"
    lab.berth("etcd", "restore", str(file), "--yes")
    assert {etcdctl(lab, node, "get", "--print-value-only", "kept") for node in ("node1", "node2", "node3")} == {
        "before\n"
    }
    etcdctl(lab, "node1", "del", "kept")
    assert lab.try_berth("preview", "--expect-no-changes")[0] == 0


def test_flannels_network_is_in_etcd_before_flanneld_starts(lab: Lab) -> None:
    """Flatcar's own programs are stood in for; what surrounds them is what a node of that system is installed with."""
    own = f"{SUBNET}.14"
    network = {"operatingSystem": "flatcar", "etcd": {"tls": False}, "flannel": {"network": "10.1.0.0/16"}}
    stack = json.loads(json.dumps(document(network)).replace("192.0.2.11", own))
    for other in stack["config"]["berth:nodes"][1:]:
        other["roles"] = ["object-store"]
    programs = {
        "etcd-member.service": "Type=notify\nEnvironment=ETCD_DATA_DIR=/run/flatcar/data\nExecStart=/usr/bin/etcd",
        "flanneld.service": "Type=oneshot\nExecStart=/bin/true",
    }
    files = {f"/run/systemd/system/{name}": f"[Service]\n{program}\n" for name, program in programs.items()}
    for unit in units(machines_of(stack)[0]):
        if unit.name in programs:
            files |= {file.path.replace("/etc/", "/run/", 1): file.content for file in unit.files()}
    try:
        for path, text in files.items():
            lab.on("node4", "sh", "-c", 'mkdir -p "${1%/*}" && printf %s "$2" >"$1"', "put", path, text)
        lab.on("node4", "systemctl", "daemon-reload")
        for name in programs:
            lab.on("node4", "systemctl", "start", name)
        ask = ["env", "ETCDCTL_API=2", "etcdctl", f"--endpoints=http://{own}:2379", "get", "/coreos.com/network/config"]
        assert json.loads(lab.on("node4", *ask)) == {"Network": "10.1.0.0/16", "Backend": {"Type": "vxlan"}}
    finally:
        lab.on("node4", "systemctl", "stop", *programs, check=False)
        lab.on("node4", "rm", "-rf", "/run/flatcar", *files, *(f"/run/systemd/system/{name}.d" for name in programs))
        lab.on("node4", "systemctl", "daemon-reload")
