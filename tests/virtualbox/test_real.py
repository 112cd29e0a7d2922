"""The programs with the real VBoxManage: everything but the start of a machine, which needs a kernel driver."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from components.nodes.vboxmanage.drive import Drive
from components.nodes.vboxmanage.machine import Machine
from components.nodes.vboxmanage.network import Network
from tests.virtualbox import chroot
from tests.virtualbox.conftest import DISK_MB, KEY, NAME, wanted

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(os.geteuid() != 0, reason="a chroot needs root"),
    pytest.mark.skipif(shutil.which("debootstrap") is None, reason="debootstrap is not installed"),
]
RULE = "ssh-node1:tcp:[127.0.0.1]:42011:[10.78.0.11]:22"


class Host:
    """A user of VirtualBox in the chroot, with a home directory of its own."""

    def __init__(self, home: Path) -> None:
        self.home, self.inside = home, f"/{home.relative_to(chroot.ROOT)}"
        self.disk = home / "machines" / f"{NAME}.vdi"
        (home / "shown").write_text(f"127.0.0.1 {KEY}\n")
        # Any ISO will do, if it is one.
        for name in ("live", "drive"):
            self.run("apply", Drive(f"~/{name}.iso", "#cloud-config\n"))
        self.sha256 = self.ask("sha256sum", f"{self.inside}/live.iso").split()[0]
        self.network(RULE)

    def run(self, verb: str, of: Machine | Network | Drive, *, kill: bool = False) -> str | None:
        """What a program printed; None when it was killed, and VirtualBox with it."""
        program = 'cd /mnt && exec python3 -B -m components.nodes.vboxmanage "$@"'
        words = ["sh", "-c", program, "berth", type(of).__name__.lower(), verb]
        environment = {"HOME": self.inside, "BERTH_PAUSE": "0", **({"KILL": "yes"} if kill else {})}
        done = chroot.enter(words, stdin=json.dumps(asdict(of)), environment=environment)
        if kill and done.returncode == 137:
            return None
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def machine(self, verb: str, *, kill: bool = False, **changes: object) -> str | None:
        return self.run(verb, wanted({"sha256": self.sha256} | changes), kill=kill)

    def network(self, *rules: str, verb: str = "apply") -> str:
        return self.run(verb, Network("berth-t", "10.78.0.0/24", "127.0.0.1=2", rules)) or ""

    def ask(self, *words: str) -> str:
        """What a program in the chroot answers."""
        return chroot.enter(words, environment={"HOME": self.inside}).stdout

    def described(self) -> dict[str, str]:
        """The machine as VirtualBox has it."""
        text = self.ask("VBoxManage", "showvminfo", NAME, "--machinereadable").replace('"', "")
        return dict(re.findall(r"^([^=\n]+)=(.*)$", text, re.M))

    @property
    def changes(self) -> list[str]:
        log = self.home / "commands"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture(scope="module")
def made() -> None:
    chroot.make()


@pytest.fixture
def host(made: None) -> Iterator[Host]:
    home = Path(tempfile.mkdtemp(dir=chroot.ROOT / "root"))
    yield Host(home)
    shutil.rmtree(home)


def test_a_machine_is_what_the_settings_say(host: Host) -> None:
    host.machine("apply")
    known = host.described()
    wanted = {
        "memory": "2048",
        "cpus": "2",
        "nic1": "natnetwork",
        "nat-network1": "berth-t",
        "macaddress1": "080027AABBCC",
        "audio": "none",
        "usb": "off",
        "xhci": "off",
        "boot1": "dvd",
        "boot2": "disk",
        "SATA-0-0": f"{host.inside}/machines/{NAME}.vdi",
        "SATA-1-0": f"{host.inside}/live.iso",
        "SATA-2-0": f"{host.inside}/drive.iso",
        "VMState": "running",
    }
    assert {key: known.get(key) for key in wanted} == wanted
    host.machine("boot")
    known = host.described()
    assert (known["SATA-1-0"], known["SATA-2-0"]) == ("emptydrive", "emptydrive")


def test_a_second_run_changes_nothing(host: Host) -> None:
    for verb in ("apply", "boot"):
        host.machine(verb)
    before = host.changes
    for verb in ("apply", "boot"):
        host.machine(verb)
    host.network(RULE)
    assert host.changes == before


def test_memory_and_a_larger_disk_are_changed_in_place(host: Host) -> None:
    host.machine("apply")
    host.machine("boot")
    host.machine("apply", memory=4096, disk=2 * DISK_MB)
    assert host.described()["memory"] == "4096"
    disk = host.ask("VBoxManage", "showmediuminfo", "disk", f"{host.inside}/machines/{NAME}.vdi")
    assert f"Capacity:       {2 * DISK_MB} MBytes" in disk


def test_virtualbox_killed_after_every_command_gets_there_in_the_end(host: Host) -> None:
    for verb in ("apply", "boot"):
        runs = 1
        while host.machine(verb, kill=True) is None:
            runs += 1
            assert runs < 20
        assert runs > 4
    known = host.described()
    assert (known["VMState"], known["memory"], known["SATA-1-0"]) == ("running", "2048", "emptydrive")


def test_the_disk_outlives_its_machine_unless_it_may_be_lost(host: Host) -> None:
    for verb in ("apply", "boot", "remove"):
        host.machine(verb)
    assert host.described() == {}
    assert host.disk.exists()
    assert "from its disk" in str(host.machine("apply"))
    host.machine("remove", replace=True)
    assert not host.disk.exists()
    assert host.ask("VBoxManage", "list", "hdds").count("UUID") == 0


def test_a_network_follows_its_rules_and_goes(host: Host) -> None:
    moved = RULE.replace("42011", "42019")
    said = host.network(moved, "registry:tcp:[127.0.0.1]:44000:[10.78.0.10]:4000")
    assert "DHCP Server:  No" in said
    assert moved in said
    assert RULE not in said
    host.network(verb="remove")
    assert "berth-t" not in host.ask("VBoxManage", "natnetwork", "list")


def test_the_configuration_drive_is_called_as_live_systems_expect_it(host: Host) -> None:
    listed = host.ask("xorriso", "-indev", f"{host.inside}/drive.iso", "-pvd_info", "-find", "/", "-type", "f")
    assert "Volume Id    : config-2" in listed
    assert "'/openstack/latest/user_data'" in listed
    assert (host.home / "drive.iso").stat().st_mode & 0o777 == 0o600
