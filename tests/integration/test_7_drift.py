"""Drift made by hand on every node and in the object store: each is named, and repair repairs that and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plugins.providers.minio_connection import Server
from tests.integration.lab import NODES, STACK, SUBNET, Lab

pytestmark = pytest.mark.lab

REGISTRY, CACHE, POLICY = "berth-registry", "berth-cache-quay", "berth-store"
LOOP = 'trap "exit 0" QUIT; while :; do sleep 0.2; done'


def drift(lab: Lab) -> tuple[int, dict[str, Any]]:
    """Exit code and answer."""
    code, output = lab.try_berth("drift", "--json")
    return code, json.loads(output[output.index("{") :])


def starts(lab: Lab) -> dict[tuple[str, str], str]:
    """When each container on each node was started."""
    found = {}
    for node in NODES:
        names = lab.on(node, "docker", "ps", "--all", "--format", "{{.Names}}").split()
        lines = lab.on(node, "docker", "inspect", "--format", "{{.Name}} {{.State.StartedAt}}", *names).splitlines()
        found |= {(node, line.split()[0].lstrip("/")): line.split()[1] for line in lines}
    return found


def object_store(lab: Lab) -> Server:
    """MinIO's administration, as whoever has the root key sees it."""
    lines = lab.on("node4", "cat", "/etc/berth/object-store/environment").splitlines()
    known = dict(line.split("=", 1) for line in lines)
    ca = str(lab.home / "stacks" / STACK / "ca.pem")
    login = known["MINIO_ROOT_USER"], known["MINIO_ROOT_PASSWORD"]
    return Server(f"{SUBNET}.10:9443", *login, True, ca, "")


def break_by_hand(lab: Lab) -> None:
    """Something else on each node, and a policy."""
    image = lab.on("node2", "docker", "inspect", "--format", "{{.Config.Image}}", "berth-load-balancer").strip()
    labels = [f"--label=berth.{key}={value}" for key, value in (("stack", STACK), ("service", "registry"))]
    lab.on("node1", "sh", "-c", "sed '/BEGIN berth/,/END berth/d' /etc/hosts >/tmp/hosts; cat /tmp/hosts >/etc/hosts")
    lab.on("node1", "docker", "stop", CACHE)
    lab.on("node2", "docker", "rm", "--force", REGISTRY)
    lab.on("node2", "docker", "run", "--detach", "--name", REGISTRY, *labels, "--entrypoint=sh", image, "-c", LOOP)
    lab.on("node3", "sed", "-i", 's/"live-restore": false/"live-restore": true/', "/etc/docker/daemon.json")
    lab.on("node3", "systemctl", "reload", "docker")
    lab.on("node4", "chmod", "0644", "/etc/berth/object-store/environment")
    lab.on("node4", "rm", "/etc/berth/object-store/certs/CAs/ca.crt")
    admin = object_store(lab).admin
    policy = json.loads(admin.policy_info(POLICY))
    policy = policy.get("Policy", policy)
    policy["Statement"][0]["Action"] = ["s3:*"]
    admin.policy_add(POLICY, policy=policy)


def test_what_is_changed_by_hand_is_named_and_only_that_is_repaired(lab: Lab) -> None:
    assert drift(lab) == (0, {"stack": STACK, "drifted": False, "findings": [], "unknown": [], "warnings": []})
    before, daemons = starts(lab), {node: lab.docker_starts(node) for node in NODES}
    break_by_hand(lab)

    code, found = drift(lab)
    assert code == 3
    named = {(one["node"], one["kind"], one["name"]) for one in found["findings"]}
    assert named == {
        ("node1", "block", "/etc/hosts"),
        ("node1", "container", CACHE),
        ("node2", "container", REGISTRY),
        ("node3", "file", "/etc/docker/daemon.json"),
        ("node3", "setting", "{{.LiveRestoreEnabled}}"),
        ("node4", "file", "/etc/berth/object-store/environment"),
        ("node4", "file", "/etc/berth/object-store/certs/CAs/ca.crt"),
        (f"{SUBNET}.10:9443", "policy", POLICY),
    }
    assert found["unknown"] == []

    code, output = lab.try_berth("up", "--repair", "--yes", "--json")
    assert code == 0, output
    done = json.loads(output[output.index("\n{\n") :])
    assert len(done["repaired"]) == len(found["findings"])
    changed = {one["urn"].rpartition("::")[2] for one in done["changed"]}
    gates = {
        name for name in changed if "-ready" in name or "-in-" in name or "-out-" in name or name.endswith("-processes")
    }
    assert changed - gates == {
        *("docker-node1", "docker-node3", "object-store-node4-files"),
        *("cache-quay-node1", "registry-node2", "bucket-store-policy"),
    }
    after = starts(lab)
    assert {place for place in before if before[place] != after[place]} == {("node1", CACHE), ("node2", REGISTRY)}
    assert daemons == {node: lab.docker_starts(node) for node in NODES}, "a reload was enough"
    assert drift(lab)[0] == 0
    assert lab.changes() == {}, "the settings and the state agree as before"


def test_a_node_that_cannot_be_reached_is_unknown(lab: Lab) -> None:
    lab.on("node4", "systemctl", "stop", "ssh")
    try:
        code, found = drift(lab)
    finally:
        lab.on("node4", "systemctl", "start", "ssh")
    assert (code, found["findings"]) == (1, [])
    assert [one["node"] for one in found["unknown"]] == ["node4"]
