"""What a machine goes through. Every step looks first, so that a run killed anywhere is finished by the next one."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from components.nodes.vboxmanage import disk
from components.nodes.vboxmanage.machine import Machine
from components.nodes.vboxmanage.power import start, stop
from components.nodes.vboxmanage.programs import change, local, need_virtualbox

EMPTY = ("emptydrive", "emptydrive")


def apply(machine: Machine) -> None:
    """Make or change it and start it: from the live ISO, or from its disk if that is installed."""
    need_virtualbox()
    machine.folder.mkdir(parents=True, exist_ok=True)
    # Machines in use are changed one after the other: a registry that lost all of them at once would be down.
    with _one_at_a_time(machine) if machine.is_installed else nullcontext():
        disk.make(machine)
        _define(machine)
        _attach(machine)
        start(machine)
    print(f"{machine.name} runs from {'its disk' if machine.is_installed else 'the live ISO'}")


def boot(machine: Machine) -> None:
    """End an installation: take the discs out and start the machine from its disk."""
    need_virtualbox()
    if not machine.is_installed:
        # With both drives empty it was started from its disk before.
        if _discs(machine) != EMPTY:
            stop(machine)
            _insert(machine, *EMPTY)
        start(machine)
        machine.write_note(f"installed {machine.config}")
    print(f"{machine.name} runs from its disk")


def remove(machine: Machine) -> None:
    """Take the machine away; its disk stays unless the settings allow to lose it or nothing is on it."""
    need_virtualbox()
    if machine.facts():
        stop(machine)
        # VirtualBox deletes every disk that is still attached.
        disk.detach(machine)
        change("unregistervm", machine.name, "--delete")
    _lock_file(machine).unlink(missing_ok=True)
    if not machine.disk_file.exists():
        machine.write_note("")
    elif machine.may_be_lost:
        disk.lose(machine)
    else:
        disk.detach(machine)
        print(f"kept: {machine.disk_file}")


def _lock_file(machine: Machine) -> Path:
    return machine.folder / f"{machine.network}.lock"


@contextmanager
def _one_at_a_time(machine: Machine) -> Iterator[None]:
    # VirtualBox's processes, which outlive this one, do not inherit the file.
    with _lock_file(machine).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _define(machine: Machine) -> None:
    """Registered, and with the hardware that is wanted."""
    facts = machine.facts()
    if not facts:
        # Killed between its two halves, createvm leaves a machine that is not registered.
        file = machine.folder / machine.name / f"{machine.name}.vbox"
        if file.is_file():
            change("registervm", file)
        else:
            own = ("--name", machine.name, "--basefolder", machine.folder)
            change("createvm", *own, "--ostype", "Linux_64", "--register")
        facts = machine.facts()
    options = list[str]()
    for key, value in _hardware(machine).items():
        if facts.get(key) != value:
            options += [f"--usb{key}" if key in ("ehci", "xhci") else f"--{key}", value]
    if options:
        stop(machine)
        change("modifyvm", machine.name, *options)


def _hardware(machine: Machine) -> dict[str, str]:
    """In the words of `showvminfo`."""
    return {
        "memory": str(machine.memory),
        "cpus": str(machine.cpus),
        "nic1": "natnetwork",
        "nat-network1": machine.network,
        "macaddress1": machine.mac,
        "audio": "none",
        "usb": "off",
        "ehci": "off",
        "xhci": "off",
        "boot1": "dvd",
        "boot2": "disk",
        "boot3": "none",
    }


def _attach(machine: Machine) -> None:
    """The disk in its size, and the discs that belong into the drives."""
    disk.grow(machine)
    facts = machine.facts()
    if not facts.get("storagecontrollername0"):
        kind = ("--add", "sata", "--controller", "IntelAhci", "--portcount", "3", "--bootable", "on")
        change("storagectl", machine.name, "--name", "SATA", *kind)
    if facts.get("SATA-0-0") != str(machine.disk_file):
        disk.attach(machine, 0, "--type", "hdd", "--medium", str(machine.disk_file))
    _insert(machine, *(EMPTY if machine.is_installed else (str(local(machine.iso)), str(local(machine.drive)))))


def _discs(machine: Machine) -> tuple[str, ...]:
    """In the two optical drives."""
    facts = machine.facts()
    return facts.get("SATA-1-0", ""), facts.get("SATA-2-0", "")


def _insert(machine: Machine, system: str, configuration: str) -> None:
    """Two discs into the optical drives."""
    for port, (there, wanted) in enumerate(zip(_discs(machine), (system, configuration), strict=True), 1):
        if there != wanted:
            disk.attach(machine, port, "--type", "dvddrive", "--medium", wanted, "--forceunmount")
