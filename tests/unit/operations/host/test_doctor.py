"""What the doctor finds, and what it tells to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from operations.host import doctor
from operations.workspace import StackFile
from tests.unit.conftest import Checkout, Docker


@pytest.fixture(autouse=True)
def no_bootstrap_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.host.prepare.checks", lambda: [], raising=False)


def test_control_groups_of_either_version_will_do(tmp_path: Path) -> None:
    assert not doctor.cgroup(tmp_path).ok
    (tmp_path / "memory").mkdir()
    assert doctor.cgroup(tmp_path).found == "version 1"
    (tmp_path / "cgroup.controllers").touch()
    assert doctor.cgroup(tmp_path).found == "version 2"


def test_bootstraps_own_checks_come_first(checkout: Checkout, berth: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from operations.host.preflight import Check

    checks = [Check("disk", False, "1 GB free", "make room"), Check("root", True, "running as root", "never shown")]
    monkeypatch.setattr("operations.host.prepare.checks", lambda: checks, raising=False)
    found = json.loads(berth("doctor", "--json").out)
    assert found[0] == {"subject": "disk", "found": "1 GB free", "ok": False, "remedy": "make room"}
    assert found[1]["remedy"] == ""


def test_a_missing_capability_is_told_but_no_fault(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tx\nCapBnd:\t000001fffeffffff\n")
    assert doctor.capabilities(status).ok and "no SYS_RESOURCE" in doctor.capabilities(status).found


def routes(directory: Path, *lines: str) -> Path:
    """A routing table as the kernel shows it: device, destination and mask."""
    table = directory / "route"
    rows = [f"{line.split()[0]}\t{line.split()[1]}\t00\t1\t0\t0\t0\t{line.split()[2]}\t0\t0\t0" for line in lines]
    table.write_text("\n".join(["Iface\tDestination\t...", *rows]) + "\n")
    return table


DEFAULT, OFFICE = "eth0 00000000 00000000", "eth0 0000000A 00FFFFFF"


def test_a_network_that_is_in_the_way_is_named(checkout: Checkout, docker: Docker, tmp_path: Path) -> None:
    stack = StackFile.read(checkout.workspace, "dev")
    assert doctor.subnet(stack, routes(tmp_path, DEFAULT, OFFICE)).ok
    taken = doctor.subnet(stack, routes(tmp_path, DEFAULT, "tun0 00004D0A 0000FFFF"))
    assert not taken.ok and taken.found == "10.77.0.0/24 overlaps with 10.77.0.0/16 on tun0"


def test_the_network_of_the_lab_itself_is_not_in_its_way(checkout: Checkout, docker: Docker, tmp_path: Path) -> None:
    docker.answers({"network inspect": "0123456789abcdef\n"})
    stack = StackFile.read(checkout.workspace, "dev")
    assert doctor.subnet(stack, routes(tmp_path, "br-0123456789ab 00004D0A 00FFFFFF")).ok


def test_the_command_fails_when_something_will_not_work(checkout: Checkout, berth: Any) -> None:
    checkout.settings("dev", {})
    ended = berth("doctor", "--json")
    assert ended.code == 1
    found = {finding["subject"]: finding["ok"] for finding in json.loads(ended.out)}
    assert not found["Pulumi CLI"] and not found["settings"]
    assert "settings" in berth("doctor").out
