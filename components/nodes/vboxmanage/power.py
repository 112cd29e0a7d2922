"""A machine's stop and start; it has started when its sshd answers with the key that was made for it."""

from __future__ import annotations

import os
import shutil
import time

from components.nodes.vboxmanage.machine import Machine
from components.nodes.vboxmanage.programs import ask, change
from config.naming import FORWARDED_HOST
from operations.errors import BerthError


def stop(machine: Machine) -> None:
    """Switch it off; an installed one is asked to shut down, for a live system has nothing to lose."""
    if _is_off(machine):
        return
    change("controlvm", machine.name, "acpipowerbutton" if machine.is_installed else "poweroff")
    seconds = int(os.environ.get("BERTH_STOP_SECONDS", "120"))
    deadline = time.monotonic() + seconds
    while not _is_off(machine):
        if time.monotonic() >= deadline:
            raise BerthError(f"{machine.node} did not shut down within {seconds} s; shut it down, then run again")
        time.sleep(1)
    # The process that was the machine lets go of its files a moment later.
    time.sleep(float(os.environ.get("BERTH_PAUSE", "2")))


def start(machine: Machine) -> None:
    """Start it, if it does not run, and wait until it answers."""
    if machine.facts().get("VMState") == "paused":
        change("controlvm", machine.name, "resume")
    elif _is_off(machine):
        change("startvm", machine.name, "--type", "headless")
    if not shutil.which("ssh-keyscan"):
        raise BerthError("ssh-keyscan is not on this machine; install OpenSSH's client, then run again")
    place, deadline = f"{FORWARDED_HOST}:{machine.port}", time.monotonic() + machine.seconds
    while (shown := _host_key(machine)) != machine.host_key.split()[:2]:
        if time.monotonic() >= deadline:
            raise BerthError(
                f"what answers at {place} shows another host key than the one made for {machine.node}"
                if shown
                else f"{machine.node} did not answer at {place} within {machine.seconds} s; "
                "its screen (VirtualBox's window) says why"
            )
        time.sleep(1)


def _is_off(machine: Machine) -> bool:
    return machine.facts().get("VMState", "poweroff") in ("poweroff", "aborted", "saved", "aborted-saved")


def _host_key(machine: Machine) -> list[str]:
    """Kind and key; nothing where nobody answers."""
    shown = ask("ssh-keyscan", "-T", "5", "-t", "ed25519", "-p", str(machine.port), FORWARDED_HOST)
    return shown.partition("\n")[0].split()[1:3]
