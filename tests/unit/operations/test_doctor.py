"""What the doctor finds, and what it tells to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from operations import doctor
from operations.workspace import StackFile
from tests.unit.operations.conftest import Checkout, Docker


@pytest.fixture(autouse=True)
def no_bootstrap_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.bootstrap.checks", lambda: [], raising=False)


def test_a_daemon_that_does_not_answer_comes_with_a_remedy(checkout: Checkout, docker: Docker) -> None:
    (checkout.bin / "docker").write_text("#!/bin/sh\necho 'Is the docker daemon running?' >&2\nexit 1\n")
    found = doctor.docker()
    assert not found.ok and found.found == "Is the docker daemon running?" and "systemctl start docker" in found.mend


def test_control_groups_of_either_version_will_do(tmp_path: Path) -> None:
    assert not doctor.cgroup(tmp_path).ok
    (tmp_path / "memory").mkdir()
    assert doctor.cgroup(tmp_path).found == "version 1"
    (tmp_path / "cgroup.controllers").touch()
    assert doctor.cgroup(tmp_path).found == "version 2"


def test_bootstraps_own_checks_come_first(checkout: Checkout, berth: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from operations.bootstrap.preflight import Check

    checks = [Check("disk", False, "1 GB free", "make room"), Check("root", True, "running as root", "never shown")]
    monkeypatch.setattr("operations.bootstrap.checks", lambda: checks, raising=False)
    found = json.loads(berth("doctor", "--json").out)
    assert found[0] == {"subject": "disk", "found": "1 GB free", "ok": False, "mend": "make room"}
    assert found[1]["mend"] == ""


def test_a_missing_capability_is_told_but_no_fault(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tx\nCapBnd:\t000001fffeffffff\n")
    assert doctor.capabilities(status).ok and "no SYS_RESOURCE" in doctor.capabilities(status).found


def test_a_network_that_is_in_the_way_is_named(checkout: Checkout) -> None:
    stack = StackFile.read(checkout.workspace, "dev")
    free = ["default via 10.0.0.1 dev eth0", "10.0.0.0/24 dev eth0 proto kernel"]
    assert doctor.subnet(stack, lambda: free).ok
    taken = doctor.subnet(stack, lambda: [*free, "10.77.0.0/16 dev tun0"])
    assert not taken.ok and taken.found == "10.77.0.0/24 overlaps with 10.77.0.0/16 on tun0"


def test_the_network_of_the_lab_itself_is_not_in_its_way(checkout: Checkout, docker: Docker) -> None:
    docker.answers({"network inspect": "0123456789abcdef\n"})
    stack = StackFile.read(checkout.workspace, "dev")
    assert doctor.subnet(stack, lambda: ["10.77.0.0/24 dev br-0123456789ab proto kernel"]).ok


def test_the_command_fails_when_something_will_not_work(checkout: Checkout, docker: Docker, berth: Any) -> None:
    (checkout.bin / "docker").write_text("#!/bin/sh\nexit 1\n")
    ended = berth("doctor", "--json")
    assert ended.code == 1
    assert {"Docker", "engine", "control groups"} <= {finding["subject"] for finding in json.loads(ended.out)}
