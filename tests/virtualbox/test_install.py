"""The installation from a live system, with that system's programs as fakes."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from components.nodes.install import lines, script

CLOUD_CONFIG = "#cloud-config\nhostname: node1\n"
LIVE = {"findmnt": "echo tmpfs", "lsblk": 'case "$*" in *SIZE*) echo 21474836480 ;; *TYPE*) echo disk ;; esac'}
LIVE |= {"wipefs": "", "sync": "", "systemctl": 'echo "systemctl $*" >>"$HOME/ran"'}
LIVE["flatcar-install"] = 'echo "flatcar-install $*" >>"$HOME/ran"; for last; do :; done; cat "$last" >"$HOME/config"'


class Machine:
    """A machine that is asked to install itself."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "os-release").write_text('NAME="Flatcar Container Linux"\nID=flatcar\n')
        self.has(**LIVE)

    def has(self, **programs: str) -> None:
        for name, text in programs.items():
            path = self.home / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)

    def install(
        self, configuration: str = CLOUD_CONFIG, verb: str = "install", **changes: Any
    ) -> subprocess.CompletedProcess[str]:
        known: dict[str, object] = {"node": "node1", "device": "/dev/sda", "least": 8192, "channel": "stable"}
        known |= {"setting": "berth:nodes[0].install", **changes}
        return subprocess.run(
            ["sh", "-c", script("install.sh"), "berth", verb],
            input=lines(known | {"configuration": base64.b64encode(configuration.encode()).decode()}),
            env={
                "PATH": f"{self.home}:{os.environ['PATH']}",
                "HOME": str(self.home),
                "BERTH_OS_RELEASE": str(self.home / "os-release"),
                "BERTH_USER_DATA": str(self.home / "user_data"),
                "BERTH_RUN": str(self.home),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def refusal(self, **changes: Any) -> str:
        done = self.install(**changes)
        assert done.returncode == 1, done.stdout
        assert self.ran == ""
        return done.stderr

    @property
    def ran(self) -> str:
        log = self.home / "ran"
        return log.read_text() if log.exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_installer_is_given_disk_release_and_configuration(machine: Machine) -> None:
    done = machine.install(version="4081.2.0", source="https://releases.example.com")
    assert done.returncode == 0, done.stderr
    words = "flatcar-install -d /dev/sda -C stable -V 4081.2.0 -b https://releases.example.com -c "
    assert machine.ran.startswith(words)
    assert (machine.home / "config").read_text() == CLOUD_CONFIG


def test_ignition_has_a_word_of_its_own(machine: Machine) -> None:
    machine.install('{"ignition": {"version": "3.3.0"}}')
    assert "-C stable -i " in machine.ran


def test_a_check_writes_nothing(machine: Machine) -> None:
    assert machine.install(verb="check").stdout == "node1 can be installed on /dev/sda (20480 MB)\n"
    assert machine.ran == ""


def test_a_live_system_restarts_only_when_it_has_installed_something(machine: Machine) -> None:
    assert "in which nothing was installed to /dev/sda" in machine.refusal(verb="restart")
    machine.install()
    machine.install(verb="restart")
    assert machine.ran.endswith("systemctl reboot\n")


def test_what_was_installed_is_not_installed_twice_by_one_live_system(machine: Machine) -> None:
    machine.install()
    assert machine.install().stdout == "node1 is installed on /dev/sda\n"
    assert machine.ran.count("flatcar-install") == 1
    machine.has(wipefs="echo 'ext4 signature'")
    machine.install("#cloud-config\nhostname: other\n")
    assert machine.ran.count("flatcar-install") == 2


def test_an_installation_that_was_killed_is_repeated_on_its_disk(machine: Machine) -> None:
    machine.has(flatcar_install="echo killed; exit 1")
    machine.install()
    machine.has(**LIVE | {"wipefs": "echo 'half a table'"})
    assert "holds data" in machine.refusal(device="/dev/sdb")
    assert machine.install().returncode == 0


def test_a_host_that_is_no_live_system_is_refused(machine: Machine) -> None:
    machine.has(findmnt="echo ext4")
    assert "node1 runs an installed flatcar" in machine.refusal(installed="refused")
    (machine.home / "os-release").write_text("ID=debian\n")
    assert "node1 runs debian, not a live CoreOS or Flatcar" in machine.refusal()


def test_a_disk_that_is_missing_small_or_in_use_is_refused(machine: Machine) -> None:
    machine.has(lsblk='case "$*" in */dev/sda) exit 32 ;; *) echo "vda 20G" ;; esac')
    assert "no disk /dev/sda; it has: vda 20G" in machine.refusal()
    machine.has(lsblk="echo 4294967296")
    assert "has 4096 MB; at least 8192 are needed" in machine.refusal()
    machine.has(lsblk='case "$*" in *SIZE*) echo 21474836480 ;; *MOUNTPOINT*) echo /data ;; esac')
    assert "in use (/data)" in machine.refusal(wipe=True)


def test_data_on_the_disk_is_lost_only_where_the_settings_allow_it(machine: Machine) -> None:
    machine.has(wipefs="echo 'ext4 signature'")
    assert "`wipe: true` under berth:nodes[0].install" in machine.refusal()
    machine.has(wipefs="", lsblk='case "$*" in *SIZE*) echo 21474836480 ;; *TYPE*) printf "disk\\npart\\n" ;; esac')
    assert "holds data" in machine.refusal()
    assert machine.install(wipe=True).returncode == 0


def test_a_disk_that_cannot_be_read_is_not_taken_for_an_empty_one(machine: Machine) -> None:
    machine.has(wipefs="echo 'Input/output error'; exit 1")
    assert "cannot be read: Input/output error" in machine.refusal()


def test_an_installed_machine_gets_its_cloud_config_for_the_next_start(machine: Machine) -> None:
    machine.has(findmnt="echo ext4")
    (machine.home / "user_data").write_text("#cloud-config\nhostname: old\n")
    assert "in force from the next start on" in machine.install().stdout
    assert (machine.home / "user_data").read_text() == CLOUD_CONFIG
    assert machine.install().stdout == "node1 is installed\n"
    assert machine.ran == ""


def test_an_installer_that_fails_says_why(machine: Machine) -> None:
    machine.has(flatcar_install="echo 'no space left'; exit 1")
    done = machine.install()
    assert done.returncode == 1
    assert "the installation of node1 failed: no space left" in done.stderr


def test_a_live_system_without_an_installer_is_refused(machine: Machine) -> None:
    (machine.home / "flatcar-install").unlink()
    assert "neither flatcar-install nor coreos-install" in machine.refusal()
