"""A machine's disk: made, kept, grown; lost only where the settings allow it or nothing is on it."""

from __future__ import annotations

import hashlib
import re

from components.nodes.vboxmanage.machine import Machine
from components.nodes.vboxmanage.power import stop
from components.nodes.vboxmanage.programs import ask, change, local, run
from operations.errors import BerthError


def make(machine: Machine) -> None:
    """The disk as it is wanted, before there is a machine around it."""
    file = machine.disk_file
    if not file.exists():
        machine.write_note("")
    why = _obstacle(machine)
    if why and not machine.may_be_lost:
        raise BerthError(f"{file} {why}; {machine.setting}.replace: true allows Berth to lose all that is on it")
    # Before anything is lost for it.
    if why or not machine.is_installed:
        _need_iso(machine)
    if why:
        lose(machine)
    if not file.exists():
        detach(machine)
        machine.write_note("empty")
        change("createmedium", "disk", "--filename", file, "--size", str(machine.disk), "--format", "VDI")


def grow(machine: Machine) -> None:
    """To the size that is wanted."""
    if _capacity(machine) < machine.disk:
        stop(machine)
        change("modifymedium", "disk", machine.disk_file, "--resize", str(machine.disk))


def lose(machine: Machine) -> None:
    """Take it away, with all that is on it."""
    stop(machine)
    machine.write_note("")
    detach(machine)
    machine.disk_file.unlink(missing_ok=True)


def detach(machine: Machine) -> None:
    """Take it out of its machine, and out of VirtualBox's list of disks."""
    if machine.facts().get("SATA-0-0") == str(machine.disk_file):
        attach(machine, 0, "--medium", "none")
    # Where VirtualBox does not know it, there is nothing to forget.
    run(["VBoxManage", "closemedium", "disk", machine.disk_file])


def attach(machine: Machine, port: int, *options: str) -> None:
    """A medium to a port of the machine's one controller, or none."""
    change("storageattach", machine.name, "--storagectl", "SATA", "--port", str(port), "--device", "0", *options)


def _obstacle(machine: Machine) -> str:
    """Why the disk cannot stay as it is; nothing if it can."""
    if not machine.disk_file.exists():
        return ""
    if not machine.note:
        return "is there already, and Berth did not make it"
    capacity = _capacity(machine)
    if not capacity:
        return "is no disk that VirtualBox can read"
    if capacity > machine.disk:
        return f"has {capacity} MB, and no disk can be made smaller"
    if machine.replace and machine.is_installed and machine.note != f"installed {machine.config}":
        return "holds another configuration"
    return ""


def _capacity(machine: Machine) -> int:
    """In MB; 0 for what VirtualBox cannot read."""
    found = re.search(
        r"^Capacity: *(\d+) MBytes$", ask("VBoxManage", "showmediuminfo", "disk", machine.disk_file), re.MULTILINE
    )
    return int(found[1]) if found else 0


def _need_iso(machine: Machine) -> None:
    iso = local(machine.iso)
    if not iso.is_file():
        raise BerthError(f"there is no file {iso} (berth:virtualbox.iso); put the live ISO there, then run again")
    with iso.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    if checksum != machine.sha256:
        raise BerthError(
            f"the checksum of {iso} is {checksum}, not berth:virtualbox.sha256; download it anew or correct the setting"
        )
