"""A changed setting touches what it must, with the least disruption, one node at a time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.lab import NODES, STACK, Lab

pytestmark = pytest.mark.lab
# The caches come first, whatever else the settings name.
OWN_MIRROR = f"https://registry.{STACK}.berth.test:4001/"
NASTY = 'it\'s "quoted" $(touch /tmp/canary) `touch /tmp/canary` ü %d'


def daemon(lab: Lab, node: str, template: str) -> str:
    return lab.on(node, "docker", "info", "--format", template).strip()


def test_a_reloadable_setting_restarts_no_daemon(lab: Lab, settings: Any) -> None:
    starts = {node: lab.docker_starts(node) for node in NODES}
    settings(docker={"registryMirrors": ["https://mirror.example.test"]})
    assert lab.changes() == {"update": {f"docker-{node}" for node in NODES}}
    before = lab.logins()
    lab.berth("up", "--yes")
    assert lab.logins() - before == len(NODES), "one connection for each node that changes"
    for node in NODES:
        in_force = daemon(lab, node, "{{range .RegistryConfig.Mirrors}}{{.}}{{end}}")
        assert in_force == f"{OWN_MIRROR}https://mirror.example.test/"
    assert {node: lab.docker_starts(node) for node in NODES} == starts


def test_a_removed_mirror_is_out_of_force_too(lab: Lab) -> None:
    assert daemon(lab, "node1", "{{range .RegistryConfig.Mirrors}}{{.}}{{end}}") == OWN_MIRROR


def test_an_extra_key_that_leaves_the_settings_is_out_of_force(lab: Lab, settings: Any) -> None:
    settings(docker={"extra": {"debug": True}})
    lab.berth("up", "--yes")
    assert daemon(lab, "node2", "{{.Debug}}") == "true"
    settings()
    lab.berth("up", "--yes")
    assert daemon(lab, "node2", "{{.Debug}}") == "false"


def test_hostile_text_in_settings_is_data_on_the_nodes(lab: Lab, settings: Any) -> None:
    settings(docker={"logOptions": {"max-size": "10m", "max-file": "3", "tag": NASTY}})
    lab.berth("up", "--yes")
    written = json.loads(lab.on("node2", "cat", "/etc/docker/daemon.json"))
    assert written["log-opts"]["tag"] == NASTY
    for node in NODES:
        assert "canary" not in lab.on(node, "ls", "/tmp")


def test_settings_that_dockerd_refuses_never_come_into_force(lab: Lab, settings: Any) -> None:
    before = {node: (lab.docker_starts(node), lab.on(node, "cat", "/etc/docker/daemon.json")) for node in NODES}
    settings(docker={"extra": {"no-such-key": True}})
    code, output = lab.try_berth("up", "--yes")
    assert code == 1
    assert "docker-node1" in output
    assert "no-such-key" in output
    assert before == {node: (lab.docker_starts(node), lab.on(node, "cat", "/etc/docker/daemon.json")) for node in NODES}


def test_a_daemon_that_does_not_come_back_gets_its_old_settings(lab: Lab, settings: Any) -> None:
    before = {node: lab.on(node, "cat", "/etc/docker/daemon.json") for node in NODES}
    starts = {node: lab.docker_starts(node) for node in NODES[1:]}
    # Valid for `dockerd --validate`, and fatal at start: the kernel has no such driver here.
    settings(docker={"extra": {"storage-driver": "zfs"}, "restartTimeout": 20})
    code, output = lab.try_berth("up", "--yes")
    assert code == 1
    assert "old settings were put back and dockerd answers again" in output
    assert {node: lab.on(node, "cat", "/etc/docker/daemon.json") for node in NODES} == before
    assert {node: lab.docker_starts(node) for node in NODES[1:]} == starts
    assert daemon(lab, "node1", "{{.ServerVersion}}")
    for container in lab.on("node1", "docker", "ps", "--format", "{{.Names}}").split():
        said = lab.on("node1", "sh", "-c", 'docker exec "$1" /no-such-program 2>&1', "sh", container, check=False)
        assert "setns" not in said, f"{container} has no root file system"


def test_foreign_keys_in_daemon_json_are_named_before_anything_is_replaced(lab: Lab) -> None:
    """On a node that Berth meets for the first time; here, the stage's own script with a stack of its own."""
    from components.docker_daemon.component import SCRIPTS
    from components.docker_daemon.render import entries
    from components.lib.host_files.bundle import render
    from components.lib.host_files.shell import as_root, stage_script
    from config.model.docker import DockerSettings
    from tests.integration.lab import STACK, run

    before = lab.on("node4", "cat", "/etc/docker/daemon.json")
    lab.on("node4", "sh", "-c", """echo '{"bip": "10.1.0.1/16", "labels": ["x={}"]}' >/etc/docker/daemon.json""")
    command = as_root(stage_script(*SCRIPTS), "apply", "other", "docker-daemon")
    done = run(
        ["docker", "exec", "-i", f"berth-{STACK}-node4", "sh", "-c", command], stdin=render(entries(DockerSettings()))
    )
    met = lab.on("node4", "cat", "/etc/docker/daemon.json")
    run(["docker", "exec", "-i", f"berth-{STACK}-node4", "sh", "-c", "cat >/etc/docker/daemon.json"], stdin=before)
    lab.on("node4", "rm", "-rf", "/var/lib/berth/other")
    assert done.returncode != 0
    assert "bip" in done.stderr
    assert "labels" in done.stderr
    assert "berth:docker.adopt" in done.stderr
    assert "bip" in met


def test_a_changed_user_changes_the_balancers_files_and_no_container(lab: Lab, settings: Any) -> None:
    starts = lab.on("node1", "docker", "inspect", "--format", "{{.State.StartedAt}}", "berth-load-balancer")
    registry = dict(lab.document()["config"]["berth:registry"])
    settings(registry={**registry, "users": [*registry["users"], {"name": "ünï", "role": "pull"}]})
    changes = lab.changes()
    assert changes.pop("create") == {"users-ünï", "users-ünï-salt"}
    files = {"balancer-node1-files", "balancer-node2-files"}
    assert changes in ({"update": files}, {"update": {*files, "berth-citest"}})
    lab.berth("up", "--yes")
    code, output = lab.try_berth("verify")
    assert code == 0, output
    assert "ünï:" in lab.on("node1", "cat", "/etc/berth/load-balancer/users/pull.htpasswd")
    assert starts == lab.on("node1", "docker", "inspect", "--format", "{{.State.StartedAt}}", "berth-load-balancer")
