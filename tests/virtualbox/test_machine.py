"""What a virtual machine goes through, command by command, with a VBoxManage that is a fake."""

from __future__ import annotations

import fcntl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.virtualbox.conftest import DISK_MB, KEY, NAME, VirtualBox

ATTACH = f"storageattach {NAME} --storagectl SATA --port"
MADE = [
    f"createmedium disk --filename HOME/machines/{NAME}.vdi --size 20480 --format VDI",
    f"createvm --name {NAME} --basefolder HOME/machines --ostype Linux_64 --register",
    f"modifyvm {NAME} --memory 2048 --cpus 2 --nic1 natnetwork --nat-network1 berth-t --macaddress1 080027AABBCC"
    " --audio none --usb off --usbehci off --usbxhci off --boot1 dvd --boot2 disk --boot3 none",
    f"storagectl {NAME} --name SATA --add sata --controller IntelAhci --portcount 3 --bootable on",
    f"{ATTACH} 0 --device 0 --type hdd --medium HOME/machines/{NAME}.vdi",
    f"{ATTACH} 1 --device 0 --type dvddrive --medium HOME/live.iso --forceunmount",
    f"{ATTACH} 2 --device 0 --type dvddrive --medium HOME/drive.iso --forceunmount",
    f"startvm {NAME} --type headless",
]
STARTED_FROM_DISK = [
    f"controlvm {NAME} poweroff",
    f"{ATTACH} 1 --device 0 --type dvddrive --medium emptydrive --forceunmount",
    f"{ATTACH} 2 --device 0 --type dvddrive --medium emptydrive --forceunmount",
    f"startvm {NAME} --type headless",
]


def changes(virtualbox: VirtualBox) -> list[str]:
    """Without the attempts to forget a disk that VirtualBox may not know."""
    return [command for command in virtualbox.commands if not command.startswith("closemedium")]


def test_a_machine_is_made_and_started_from_the_live_iso(virtualbox: VirtualBox) -> None:
    assert "runs from the live ISO" in virtualbox.machine("apply")
    assert changes(virtualbox) == MADE


def test_what_is_installed_is_started_from_its_disk_with_both_drives_empty(virtualbox: VirtualBox) -> None:
    virtualbox.machine("apply")
    virtualbox.forget()
    assert "runs from its disk" in virtualbox.machine("boot")
    assert changes(virtualbox) == STARTED_FROM_DISK
    assert virtualbox.note.read_text() == "installed c0ffee\n"


def test_a_second_run_changes_nothing(virtualbox: VirtualBox) -> None:
    virtualbox.installed()
    virtualbox.machine("apply")
    virtualbox.machine("boot")
    assert virtualbox.commands == []


def test_more_memory_costs_an_orderly_restart(virtualbox: VirtualBox) -> None:
    virtualbox.installed()
    virtualbox.machine("apply", memory=4096)
    assert virtualbox.commands == [
        f"controlvm {NAME} acpipowerbutton",
        f"modifyvm {NAME} --memory 4096",
        f"startvm {NAME} --type headless",
    ]


def test_a_disk_grows_in_place(virtualbox: VirtualBox) -> None:
    virtualbox.installed()
    virtualbox.machine("apply", disk=DISK_MB * 2)
    assert f"modifymedium disk HOME/machines/{NAME}.vdi --resize {DISK_MB * 2}" in virtualbox.commands
    assert virtualbox.note.read_text() == "installed c0ffee\n"


def test_runs_that_are_killed_after_every_command_get_there_in_the_end(tmp_path: Path) -> None:
    homes = [tmp_path / "clean", tmp_path / "killed"]
    for home in homes:
        home.mkdir()
    clean, killed = map(VirtualBox, homes)
    clean.installed()
    for verb in ("apply", "boot"):
        runs = 1
        while killed.run(verb, FAKE_KILL="1").returncode:
            killed.forget()
            runs += 1
            assert runs < 20
        assert runs > 4, "each run was to be killed after its first change"
    assert _known(killed) == _known(clean)


def test_a_machine_that_was_never_registered_is_taken_on(virtualbox: VirtualBox) -> None:
    folder = virtualbox.disk.parent / NAME
    folder.mkdir(parents=True)
    (folder / f"{NAME}.vbox").write_text("")
    virtualbox.machine("apply")
    assert f"registervm HOME/machines/{NAME}/{NAME}.vbox" in virtualbox.commands


def test_a_missing_or_other_iso_is_refused_before_anything_is_made(virtualbox: VirtualBox) -> None:
    assert "berth:virtualbox.iso" in virtualbox.refusal("apply", iso="/nowhere.iso")
    virtualbox.iso.write_bytes(b"half of a live sys")
    assert "not berth:virtualbox.sha256" in virtualbox.refusal("apply")
    assert virtualbox.commands == []
    assert not virtualbox.disk.exists()


def test_a_disk_that_cannot_be_made_smaller_is_kept_unless_it_may_be_lost(virtualbox: VirtualBox) -> None:
    virtualbox.installed()
    sentence = virtualbox.refusal("apply", disk=DISK_MB // 2)
    assert "has 20480 MB" in sentence
    assert "berth:nodes[0].virtualbox.replace: true" in sentence
    assert virtualbox.commands == []
    assert "live ISO" in virtualbox.machine("apply", disk=DISK_MB // 2, replace=True)
    assert virtualbox.disk.read_text() == str(DISK_MB // 2)


def test_nothing_is_lost_for_an_iso_that_is_not_there(virtualbox: VirtualBox) -> None:
    virtualbox.installed()
    virtualbox.iso.unlink()
    virtualbox.refusal("apply", disk=DISK_MB // 2, replace=True)
    assert virtualbox.disk.read_text() == str(DISK_MB)


def test_a_disk_that_berth_did_not_make_is_not_touched(virtualbox: VirtualBox) -> None:
    virtualbox.disk.parent.mkdir()
    virtualbox.disk.write_text(str(DISK_MB))
    assert "Berth did not make it" in virtualbox.refusal("apply")
    assert virtualbox.commands == []


def test_a_changed_configuration_reinstalls_if_the_disk_may_be_lost(virtualbox: VirtualBox) -> None:
    virtualbox.installed()
    assert "from its disk" in virtualbox.machine("apply", config="decade")
    assert "live ISO" in virtualbox.machine("apply", config="decade", replace=True)
    virtualbox.machine("boot", config="decade", replace=True)
    assert "from its disk" in virtualbox.machine("apply", config="decade", replace=True)


def test_a_machine_taken_away_leaves_its_disk_from_which_it_starts_again(virtualbox: VirtualBox) -> None:
    virtualbox.installed()
    assert f"kept: {virtualbox.disk}" in virtualbox.machine("remove")
    assert virtualbox.state["machines"] == {}
    assert virtualbox.disk.read_text() == str(DISK_MB)
    virtualbox.iso.unlink()
    assert "from its disk" in virtualbox.machine("apply")


def test_a_disk_that_may_be_lost_or_holds_nothing_goes_with_its_machine(virtualbox: VirtualBox) -> None:
    virtualbox.installed()
    virtualbox.machine("remove", replace=True)
    assert not virtualbox.disk.exists()
    virtualbox.machine("apply")
    virtualbox.machine("remove")
    assert [path.name for path in virtualbox.disk.parent.iterdir()] == [NAME]
    assert virtualbox.machine("remove") == ""


def test_nothing_is_removed_by_a_state_that_an_interrupted_run_left(virtualbox: VirtualBox) -> None:
    virtualbox.installed()
    done = virtualbox.run("remove", stdin="")
    assert done.returncode == 1
    assert done.stderr.startswith("berth: the last run was interrupted, and the state no longer says which machine")
    assert virtualbox.commands == []


def test_a_machine_that_does_not_shut_down_is_not_switched_off(virtualbox: VirtualBox) -> None:
    virtualbox.installed()
    short_timeout = {"FAKE_ACPI": "running", "BERTH_STOP_SECONDS": "1"}
    done = virtualbox.run("remove", **short_timeout)
    assert "node1 did not shut down within 1 s" in done.stderr
    assert virtualbox.state["machines"][NAME]["VMState"] == "running"


def test_a_machine_that_shows_another_host_key_is_not_talked_to(virtualbox: VirtualBox) -> None:
    virtualbox.answers_with("ssh-ed25519 AAAAsomebody")
    assert "another host key than the one made for node1" in virtualbox.refusal("apply")


def test_waiting_for_a_machine_ends(virtualbox: VirtualBox) -> None:
    virtualbox.answers_with("")
    assert "did not answer at 127.0.0.1:42011 within 1 s" in virtualbox.refusal("apply")
    virtualbox.answers_with(KEY)
    virtualbox.machine("apply")


def test_the_first_error_of_virtualbox_is_the_reason_that_is_given(virtualbox: VirtualBox) -> None:
    fake = (virtualbox.bin / "VBoxManage").read_text().partition("\n")[2]
    errors = "echo working; printf 'VBoxManage: error: %s\\n' 'no driver' 'Details: code 1' >&2; exit 1"
    virtualbox.program("VBoxManage", f'if [ "$1" = startvm ]; then {errors}; fi\n{fake}')
    assert virtualbox.refusal("apply") == f"VBoxManage startvm {NAME} failed: no driver"


def test_machines_in_use_are_changed_one_after_the_other(virtualbox: VirtualBox) -> None:
    virtualbox.installed()
    with ThreadPoolExecutor() as pool:
        with (virtualbox.disk.parent / "berth-t.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            other = pool.submit(virtualbox.machine, "apply", memory=4096)
            with pytest.raises(TimeoutError):
                other.result(timeout=1.5)
            assert virtualbox.commands == []
        assert "runs from its disk" in other.result()
    assert virtualbox.commands != []


def test_a_machine_without_an_ssh_client_is_told_so(virtualbox: VirtualBox) -> None:
    (virtualbox.bin / "ssh-keyscan").unlink()
    assert "install OpenSSH's client" in virtualbox.run("apply", PATH="/nowhere").stderr


@pytest.mark.parametrize("version", ["6.0.24r139119", "5.2.42_Ubuntur137960", "no version at all"])
def test_an_old_virtualbox_is_refused(virtualbox: VirtualBox, version: str) -> None:
    done = virtualbox.run("apply", FAKE_VERSION=version)
    assert done.returncode == 1
    assert "install 6.1 or newer" in done.stderr
    assert virtualbox.commands == []


@pytest.mark.parametrize("version", ["6.1.50r161033", "10.0.0r1"])
def test_a_newer_virtualbox_will_do(virtualbox: VirtualBox, version: str) -> None:
    assert virtualbox.run("apply", FAKE_VERSION=version).returncode == 0


def test_a_machine_without_virtualbox_is_told_so(virtualbox: VirtualBox) -> None:
    (virtualbox.bin / "VBoxManage").unlink()
    sentence = "VBoxManage is not on this machine; install VirtualBox 6.1 or newer here, then run again"
    assert virtualbox.refusal("apply") == sentence


def _known(virtualbox: VirtualBox) -> str:
    return repr((virtualbox.state, virtualbox.note.read_text())).replace(str(virtualbox.home), "HOME")
