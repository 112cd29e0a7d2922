"""The staging stack under mocks: what becomes a virtual machine, in which order, and what is known of it before."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from config import naming
from tests.program.recorder import ROOT, Recording, run_program
from tests.unit.components.node_stack import host_key


def stack_file() -> dict[str, Any]:
    known: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.staging.yaml").read_text(encoding="utf-8"))
    return known


@pytest.fixture(scope="module")
def staging() -> Recording:
    return run_program("staging", preview=True)


def mac(node: str) -> str:
    text = naming.virtual_mac("staging", node).lower()
    return ":".join(text[at : at + 2] for at in range(0, 12, 2))


def waits_for(recording: Recording, name: str) -> set[str]:
    return {urn.rsplit("::", 1)[-1] for urn in recording.named(name).dependencies}


def stdin(recording: Recording, name: str) -> str:
    """What a command reads, secret or not."""
    found = recording.named(name).inputs["stdin"]
    return str(found["value"] if isinstance(found, dict) else found)


def configuration(recording: Recording, name: str) -> str:
    """What a machine is installed with."""
    return base64.b64decode(directives(recording, name)["configuration"]).decode()


def directives(recording: Recording, name: str) -> dict[str, str]:
    """What a script on a machine reads."""
    return dict(line.split("\t", 1) for line in stdin(recording, name).splitlines())


def document(recording: Recording, name: str) -> dict[str, Any]:
    """What a program of the deploy host reads."""
    known: dict[str, Any] = json.loads(stdin(recording, name))
    return known


def test_a_machine_is_made_then_installed_then_started_from_its_disk(staging: Recording) -> None:
    for node in ("node1", "node2", "node3", "node4"):
        name = f"nodes-{node}"
        assert {"nodes-network", f"{name}-drive"} <= waits_for(staging, f"{name}-machine")
        assert f"{name}-machine" in waits_for(staging, f"{name}-install")
        assert f"{name}-install" in waits_for(staging, name)
        assert name in waits_for(staging, f"docker-{node}")


def test_machines_do_not_wait_for_each_other(staging: Recording) -> None:
    assert not any("node1" in name for name in waits_for(staging, "nodes-node2-machine"))


def test_the_deploy_host_gets_in_through_forwarded_ports(staging: Recording) -> None:
    assert document(staging, "nodes-network") == {
        "name": "berth-staging",
        "subnet": "10.78.0.0/24",
        "loopback": "127.0.0.1=2",
        "forwards": [
            *(f"ssh-node{at}:tcp:[127.0.0.1]:{2010 + at}:[10.78.0.{10 + at}]:22" for at in range(1, 5)),
            "registry:tcp:[127.0.0.1]:4000:[10.78.0.10]:4000",
            "mirror:tcp:[127.0.0.1]:4001:[10.78.0.10]:4001",
            "object-store:tcp:[127.0.0.1]:9443:[10.78.0.10]:9443",
        ],
    }
    access = staging.outputs["node_access"]
    assert [(entry["host"], entry["port"], entry["user"]) for entry in access][:2] == [
        ("127.0.0.1", 2011, "core"),
        ("127.0.0.1", 2012, "core"),
    ]
    assert staging.of_type("pulumi:providers:minio")[0].inputs["minioServer"] == "127.0.0.1:9443"
    assert "127.0.0.1" in staging.named("object-store-node1-request").inputs["ipAddresses"]
    assert "127.0.0.1 registry.staging.berth.test" in stdin(staging, "deploy-host-files")
    assert "10.78.0.10 registry.staging.berth.test" in stdin(staging, "docker-node1")


def test_what_a_machine_is_told_can_be_read_and_holds_no_key(staging: Recording) -> None:
    known = document(staging, "nodes-node1-machine")
    assert (known["memory"], known["disk"], known["replace"]) == (3072, 20480, False)
    assert known["setting"] == "berth:nodes[0].virtualbox"
    assert "KEY OPENSSH" not in stdin(staging, "nodes-node1-machine")


def test_what_a_machine_is_made_by_runs_anew_on_any_checkout(staging: Recording) -> None:
    for name, part, verbs in (
        ("nodes-network", "network", ("apply", "remove")),
        ("nodes-node1-drive", "drive", ("apply", "remove")),
        ("nodes-node1-machine", "machine", ("apply", "remove")),
        ("nodes-node1", "machine", ("boot", None)),
    ):
        inputs = staging.named(name).inputs
        program = "exec python3 -m components.nodes.vboxmanage"
        wanted = [f"{program} {part} {verb}" if verb else None for verb in verbs]
        assert [inputs.get(step) for step in ("create", "delete")] == wanted


def test_a_machine_shows_the_key_that_was_made_for_it_from_its_first_start(staging: Recording) -> None:
    assert "KEY OPENSSH" in stdin(staging, "nodes-node1-drive")
    assert "KEY OPENSSH" in unquote(configuration(staging, "nodes-node1-install"))
    connection = json.dumps(staging.named("nodes-node1-install").inputs["connection"])
    assert "AAAAnodes-node1-host-key" in connection


def test_a_machine_is_installed_with_its_whole_configuration(staging: Recording) -> None:
    assert directives(staging, "nodes-node1-install")["device"] == "/dev/sda"
    ignition = json.loads(configuration(staging, "nodes-node1-install"))
    files = {file["path"]: file for file in ignition["storage"]["files"]}
    assert files["/etc/ssh/ssh_host_ed25519_key"]["mode"] == 0o600
    network = next(file["contents"]["source"] for path, file in files.items() if path.endswith(".network"))
    assert "Address=10.78.0.11/24" in unquote(network)
    assert f"MACAddress={mac('node1')}" in unquote(network)
    assert ignition["passwd"]["users"][0]["sshAuthorizedKeys"] == ["ssh-ed25519 AAAAnodes-ssh-key"]


def test_more_memory_changes_one_machine_and_what_follows_from_it(staging: Recording) -> None:
    more = stack_file()
    more["config"]["berth:nodes"][1]["virtualbox"] = {"memory": 4096}
    other = run_program("staging", more, preview=True)
    before = {resource.name: resource.inputs for resource in staging.resources}
    changed = {resource.name for resource in other.resources if before[resource.name] != resource.inputs}
    assert changed == {"nodes-node2-machine", "nodes-node2-install", "nodes-node2"}


def test_machines_that_exist_are_reached_as_the_settings_say() -> None:
    existing = stack_file()
    del existing["config"]["berth:virtualbox"], existing["config"]["berth:nodeDefaults"]
    existing["config"]["berth:images"] = {"seed": {"address": "10.78.0.2"}}
    for at, node in enumerate(existing["config"]["berth:nodes"], 2011):
        node["provider"] = "virtualbox"
        node["ssh"] = {
            "host": "127.0.0.1",
            "port": at,
            "keyFile": "~/.ssh/berth-staging",
            "hostKey": host_key(at % 100),
        }
    recording = run_program("staging", existing, preview=True)
    assert [resource.name for resource in recording.resources if resource.name.startswith("nodes")] == ["nodes"]
    assert recording.outputs["node_access"][3]["port"] == 2014
    assert recording.of_type("pulumi:providers:minio")[0].inputs["minioServer"] == "10.78.0.10:9443"
