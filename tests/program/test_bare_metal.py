"""The production stack under mocks: machines that are there, and the same with some of them to be installed."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from components.lib.host_files import parse
from tests.program.recorder import ROOT, Recording, run_program
from tests.unit.components.node_stack import host_key

STEPS = ("host-key", "check", "install", "start", "configuration")


def document(*numbers: int) -> dict[str, Any]:
    """The committed file, with these of its nodes installed."""
    known: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text(encoding="utf-8"))
    for number in numbers:
        node = known["config"]["berth:nodes"][number - 1]
        del node["ssh"]["hostKey"], node["ssh"]["user"]
        node["config"] = {"operatingSystem": "coreos"}
        node["install"] = {"disk": "/dev/sda", "live": {"hostKey": host_key(number)}}
    return known


@pytest.fixture(scope="module")
def installed() -> Recording:
    return run_program("prod", document(5, 6), preview=True)


def waits_for(recording: Recording, name: str) -> set[str]:
    return {urn.rsplit("::", 1)[-1] for urn in recording.named(name).dependencies}


def stdin(recording: Recording, name: str) -> str:
    return str(recording.named(name).open["stdin"])


def test_machines_that_are_there_are_only_reached() -> None:
    recording = run_program("prod", preview=True)
    assert [resource.name for resource in recording.resources if resource.name.startswith("nodes")] == ["nodes"]
    assert [node["host"] for node in recording.outputs["node_access"]] == [f"192.0.2.1{n}" for n in range(1, 7)]


def test_no_disk_is_written_before_all_disks_were_checked(
    installed: Recording,
) -> None:
    for node in ("berth5", "berth6"):
        name = f"nodes-{node}"
        assert {"nodes-berth5-check", "nodes-berth6-check"} <= waits_for(installed, f"{name}-install")
        assert f"{name}-install" in waits_for(installed, f"{name}-start")
        assert f"{name}-start" in waits_for(installed, f"{name}-configuration")
        assert f"{name}-configuration" in waits_for(installed, name)
        assert name in waits_for(installed, f"docker-{node}")
    assert not [resource.name for resource in installed.resources if "nodes-berth4" in resource.name]


def test_one_node_waits_for_the_one_before_it(installed: Recording) -> None:
    assert "nodes-berth5" in waits_for(installed, "nodes-berth6-configuration")
    assert "nodes-berth6" not in waits_for(installed, "nodes-berth5-configuration")


def test_what_runs_on_an_installed_machine_does_not_go_with_its_resource(installed: Recording) -> None:
    assert installed.named("docker-berth5").deleted_with == ""


def test_the_live_system_and_the_installed_one_have_keys_of_their_own(installed: Recording) -> None:
    told = stdin(installed, "nodes-berth5-install").splitlines()
    assert f"live_host_key\t{host_key(5)}" in told
    assert "host_key\tssh-ed25519 AAAAnodes-berth5-host-key" in told
    (connection,) = (installed.named("nodes-berth5-configuration").open["connection"],)
    assert connection["hostKey"].strip() == "ssh-ed25519 AAAAnodes-berth5-host-key"
    assert (connection["host"], connection["user"]) == ("192.0.2.15", "core")


def test_the_configuration_is_a_secret_file_and_one_that_can_be_shown(installed: Recording) -> None:
    entries = parse.parse(stdin(installed, "nodes-berth5-configuration")).entries
    user_data = entries["file", "/var/lib/coreos-install/user_data"]
    assert user_data.is_secret
    assert "KEY OPENSSH" in user_data.body
    shown = entries["file", "/etc/berth/node-config"]
    assert not shown.is_secret
    assert "hostname: berth5" in shown.body
    assert "KEY OPENSSH" not in shown.body


def test_before_a_restart_the_registry_and_every_other_server_are_asked(installed: Recording) -> None:
    facts = parse.parse(stdin(installed, "nodes-berth5-configuration")).directives
    asked = [fact[2] for fact in facts if fact[0] == "probe"]
    others = [f"https://192.0.2.1{number}:9000/minio/health/cluster" for number in (3, 4, 6)]
    assert asked == ["https://registry.example.com:4000/v2/", *others]


def test_another_time_zone_changes_the_configuration_and_its_restart(installed: Recording) -> None:
    changed = document(5, 6)
    changed["config"]["berth:nodes"][4]["config"]["timezone"] = "Asia/Tokyo"
    before = {resource.name: resource.inputs for resource in installed.resources}
    other = run_program("prod", changed, preview=True)
    differ = {resource.name for resource in other.resources if before[resource.name] != resource.inputs}
    # The installer's own text is news for another installation only: the program ignores it.
    assert differ == {"nodes-berth5-install", "nodes-berth5-configuration", "nodes-berth5"}
