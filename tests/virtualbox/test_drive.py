"""The configuration drive, with a program that writes ISOs as a fake."""

from __future__ import annotations

from components.nodes.vboxmanage.drive import Drive
from tests.virtualbox.conftest import VirtualBox

DRIVE = Drive("~/machines/drive.iso", "#cloud-config\n")
XORRISO = 'echo "$*" >>"$HOME/ran"\nwhile [ "$1" != -o ]; do shift; done\ncat "$3/openstack/latest/user_data" >"$2"'


def test_a_drive_holds_what_a_live_system_reads_and_is_its_owners_alone(virtualbox: VirtualBox) -> None:
    virtualbox.program("xorriso", XORRISO)
    file = virtualbox.home / "machines" / "drive.iso"
    for text in ("#cloud-config\n", "#cloud-config\nhostname: other\n"):
        assert virtualbox.run("apply", Drive(DRIVE.file, text)).returncode == 0
        assert (file.read_text(), file.stat().st_mode & 0o777) == (text, 0o600)
    assert "-as mkisofs -quiet -V config-2 -J -r -o " in (virtualbox.home / "ran").read_text()
    for _ in range(2):
        assert virtualbox.run("remove", DRIVE).returncode == 0
    assert not list(file.parent.iterdir())


def test_a_drive_that_could_not_be_written_leaves_the_one_before_it(virtualbox: VirtualBox) -> None:
    virtualbox.program("xorriso", XORRISO)
    virtualbox.run("apply", DRIVE)
    virtualbox.program("xorriso", "echo 'a warning' >&2; echo 'No space left' >&2; exit 5")
    done = virtualbox.run("apply", Drive(DRIVE.file, "other"))
    assert done.returncode == 1
    assert done.stderr == f"berth: xorriso could not write {virtualbox.home}/machines/drive.iso.new: No space left\n"
    assert (virtualbox.home / "machines" / "drive.iso").read_text() == DRIVE.user_data


def test_a_machine_that_can_write_no_iso_is_told_so(virtualbox: VirtualBox) -> None:
    done = virtualbox.run("apply", DRIVE, PATH="/nowhere")
    assert done.stderr.startswith("berth: no program that writes an ISO is on this machine; install xorriso")
