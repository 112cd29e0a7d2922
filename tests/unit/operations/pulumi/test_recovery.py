"""What a killed run made last is found by its label, on the deploy host and on nodes."""

from __future__ import annotations

import json
from typing import Any

from operations.pulumi.recovery import PROVIDER, Daemon, daemon, orphans, unapplied
from operations.pulumi.state import CONTAINER
from tests.unit.conftest import Checkout, Docker

NODE = {"host": "ssh://root@10.77.0.11:22", "sshOpts": json.dumps(["-i", "/k/id", "-o", "StrictHostKeyChecking=yes"])}


def resource(type_: str, name: str, provider: str = "", **inputs: Any) -> dict[str, Any]:
    return {"urn": f"urn::{name}", "type": type_, "provider": f"{provider}::id", "inputs": {"name": name, **inputs}}


def exported(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"deployment": {"resources": list(resources)}}


def test_only_objects_that_the_state_does_not_know_are_orphans(docker: Docker) -> None:
    docker.answers({"ps --all": "1a berth-dev-node1\n2b berth-dev-node2\n", "network ls": "3c berth-dev\n"})
    known = exported(resource(CONTAINER, "berth-dev-node1"), resource("docker:index/network:Network", "berth-dev"))
    assert [orphan.name for orphan in orphans(known, "dev")] == ["berth-dev-node2"]
    assert "ps --all --filter label=berth.stack=dev --format {{.ID}} {{.Names}}" in docker.calls


def test_nodes_are_asked_through_their_own_provider(docker: Docker, checkout: Checkout) -> None:
    ssh = checkout.bin / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$@" >>{checkout.bin}/ssh.log\ncase $* in *ps*) echo 1a berth-registry;; esac\n')
    ssh.chmod(0o755)
    found = list(orphans(exported({**resource(PROVIDER, "p"), "inputs": NODE}), "dev"))
    assert [(orphan.name, orphan.daemon) for orphan in found] == [("berth-registry", daemon(NODE))]
    asked = (checkout.bin / "ssh.log").read_text().splitlines()[0]
    assert asked.startswith("-i /k/id -o StrictHostKeyChecking=yes")
    assert asked.endswith(
        "ssh://root@10.77.0.11:22 docker ps --all --filter label=berth.stack=dev --format '{{.ID}} {{.Names}}'"
    )


def test_a_daemon_that_cannot_be_asked_is_passed_over(docker: Docker, checkout: Checkout) -> None:
    (checkout.bin / "docker").write_text("#!/bin/sh\nexit 1\n")
    assert list(orphans(exported(), "dev")) == []


def test_a_provider_without_ssh_is_the_deploy_hosts_own_daemon() -> None:
    assert daemon({}) == daemon({"host": "unix:///var/run/docker.sock"}) == Daemon()


def test_a_swarms_networks_are_never_taken_for_remains(checkout: Checkout, docker: Docker) -> None:
    # A command makes them, so no state knows them, and every manager lists them.
    docker.answers({"network ls --filter scope=local": "", "network ls": "3c backend\n"})
    assert list(orphans({"deployment": {"resources": []}}, "dev")) == []


def test_a_command_that_never_ended_runs_again_in_any_case() -> None:
    def command(name: str, **more: object) -> dict[str, object]:
        ours = {"create": "sh", "stdin": "old"}
        return {"urn": f"urn::{name}", "inputs": ours, "outputs": {**ours, "id": name}, **more}

    resources = [command("begun"), command("other"), command("begun", delete=True)]
    export = {"deployment": {"resources": resources}}
    begun, *others = unapplied(export, {"urn::begun", "urn::a container"})["deployment"]["resources"]
    assert begun["inputs"] == {"create": "", "stdin": "old"}, "what a removal reads stays"
    assert begun["outputs"] == {"create": "", "stdin": "old", "id": "begun"}
    assert others == resources[1:] and resources[0] == command("begun"), "and the export itself is left alone"
