"""What goes wrong is said in a sentence, loses nothing, and a plain second run goes on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.lab import STACK, Lab, run

pytestmark = pytest.mark.lab


def checkpoint(lab: Lab) -> Path:
    return lab.home / "state" / ".pulumi" / "stacks" / "berth" / f"{STACK}.json"


def no_stack_trace(output: str) -> None:
    assert "Traceback" not in output, output


def test_an_unknown_setting_is_refused_before_anything_starts(lab: Lab, settings: Any) -> None:
    settings(regsitry={"name": "x"})
    code, output = lab.try_berth("up", "--yes")
    assert code == 2
    assert "berth:regsitry" in output
    assert "berth:registry" in output or "`registry`" in output
    no_stack_trace(output)


def test_object_store_without_quorum_is_reported_and_heals(lab: Lab) -> None:
    # Killed, not paused: a node's own containers are not in the cgroup that a pause would freeze.
    for node in ("node3", "node4"):
        run(["docker", "kill", f"berth-{STACK}-{node}"])
    try:
        code, output = lab.try_berth("verify")
        assert code == 3
        assert "no write quorum" in output
        assert "node3" in output
        assert "node4" in output
        no_stack_trace(output)
    finally:
        for node in ("node3", "node4"):
            run(["docker", "start", f"berth-{STACK}-{node}"])
    deadline = time.monotonic() + 120
    while lab.try_berth("verify")[0] != 0:
        assert time.monotonic() < deadline, lab.try_berth("verify")[1]
        time.sleep(2)


def test_an_image_that_the_seed_registry_lacks_is_named_with_its_node(lab: Lab, settings: Any) -> None:
    missing = f"10.76.0.2:4999/berth/registry@sha256:{'0' * 64}"
    settings(images={"registry": missing})
    code, output = lab.try_berth("up", "--yes")
    assert code == 1
    assert "0" * 64 in output
    assert "registry-node1" in output
    no_stack_trace(output)


def test_a_port_that_is_taken_on_a_node_is_named_before_the_service_starts(lab: Lab) -> None:
    from components.lib.host_files.bundle import Directive, render
    from components.lib.host_files.shell import as_root, stage_script
    from components.lib.service.directives import SERVICE_SCRIPT

    facts = [
        Directive("container", ["berth-not-there"]),
        Directive("port", ["10.76.0.13", "9000", "berth:objectStore.port"]),
    ]
    command = as_root(stage_script(SERVICE_SCRIPT), "apply", "other", "object-store")
    done = run(["docker", "exec", "-i", f"berth-{STACK}-node3", "sh", "-c", command], stdin=render(facts))
    lab.on("node3", "rm", "-rf", "/var/lib/berth/other")
    assert done.returncode != 0
    assert "port 9000 is taken" in done.stderr
    assert "berth:objectStore.port" in done.stderr


def test_a_sudo_that_asks_for_a_password_is_explained(lab: Lab) -> None:
    from components.lib.host_files.shell import as_root

    lab.on("node4", "useradd", "--create-home", "--groups", "sudo", "operator1")
    command = as_root("echo reached", user="operator1")
    done = run(["docker", "exec", "--user", "operator1", f"berth-{STACK}-node4", "sh", "-c", command])
    lab.on("node4", "userdel", "--remove", "operator1", check=False)
    assert done.returncode != 0
    assert "reached" not in done.stdout
    assert "sudo asks operator1 for a password here" in done.stderr
    assert "NOPASSWD" in done.stderr


def test_two_runs_at_the_same_time_do_not_mix(lab: Lab) -> None:
    first = lab.start("up", "--yes")
    time.sleep(0.7)
    code, output = lab.try_berth("up", "--yes")
    first_output, _ = first.communicate(timeout=300)
    ends = sorted([first.returncode, code])
    assert ends == [0, 1], first_output + output
    no_stack_trace(output)


def test_a_truncated_state_file_is_refused_and_its_backup_is_named(lab: Lab) -> None:
    path = checkpoint(lab)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    try:
        code, output = lab.try_berth("up", "--yes")
    finally:
        path.write_bytes(whole)
    assert code == 1
    assert f"{path.name}.bak" in output
    no_stack_trace(output)
    assert "No change" in lab.berth("up", "--yes")


def test_a_run_that_is_killed_in_the_middle_goes_on_with_a_second_one(lab: Lab, settings: Any) -> None:
    for number, pause in enumerate((1.5, 3.0, 5.0)):
        lab.write_settings(docker={"logOptions": {"max-size": f"{11 + number}m"}})
        process = lab.start("up", "--yes")
        time.sleep(pause)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        output = lab.berth("up", "--yes")
        no_stack_trace(output)
        for node in ("node1", "node4"):
            options = json.loads(lab.on(node, "cat", "/etc/docker/daemon.json"))["log-opts"]
            assert options == {"max-size": f"{11 + number}m"}
        assert "backend" in lab.on("node2", "docker", "network", "ls", "--format", "{{.Name}}").split()
        assert lab.try_berth("preview", "--expect-no-changes")[0] == 0


@pytest.mark.full
def test_a_run_may_be_killed_at_any_moment(lab: Lab, settings: Any) -> None:
    for number in range(12):
        lab.write_settings(docker={"logOptions": {"max-size": f"{30 + number}m"}})
        process = lab.start("up", "--yes")
        time.sleep(0.8 * number)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        no_stack_trace(lab.berth("up", "--yes"))
        assert lab.try_berth("preview", "--expect-no-changes")[0] == 0


def test_a_node_that_is_gone_is_named_and_the_others_are_left_alone(lab: Lab, settings: Any) -> None:
    settings(docker={"logOptions": {"max-size": "20m"}})
    run(["docker", "pause", f"berth-{STACK}-node1"])
    try:
        code, output = lab.try_berth("up", "--yes", timeout=300)
    finally:
        run(["docker", "unpause", f"berth-{STACK}-node1"])
    assert code == 1
    assert "docker-node1" in output
    no_stack_trace(output)


def test_down_leaves_nothing(lab: Lab) -> None:
    """The last test of the lab."""
    lab.berth("down", "--yes")
    for listing in (["ps", "-a"], ["network", "ls"], ["volume", "ls"]):
        names = run(["docker", *listing, "--format", "{{json .}}"]).stdout
        assert f"berth-{STACK}" not in names, names
    assert STACK not in Path("/etc/hosts").read_text()
    assert not list(Path("/etc/docker/certs.d").glob(f"*{STACK}*"))
    assert not (Path("/var/lib/berth") / STACK).exists()
    assert not (lab.home / "stacks" / STACK).exists()
    assert not checkpoint(lab).exists()
