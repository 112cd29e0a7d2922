"""What will not work on this machine, and how to fix it."""

from __future__ import annotations

import ipaddress
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from config import stackfile
from config.naming import lab_network
from config.problems import SettingsError
from operations.host import prepare
from operations.host.preflight import Check
from operations.pulumi import cli
from operations.workspace import StackFile

CAP_SYS_RESOURCE = 24
ROUTES = Path("/proc/net/route")


def findings(stack_file: StackFile) -> list[Check]:
    """All findings, the preparation's own checks first."""
    return [*prepare.checks(), cgroup(), capabilities(), pulumi(), names(stack_file), subnet(stack_file)]


def cgroup(mounts: Path = Path("/sys/fs/cgroup")) -> Check:
    """Lab nodes run systemd, which needs control groups."""
    if (mounts / "cgroup.controllers").exists():
        return Check("control groups", True, "version 2")
    if (mounts / "systemd").is_dir() or (mounts / "memory").is_dir():
        return Check("control groups", True, "version 1")
    remedy = "Mount them: mount -t cgroup2 none /sys/fs/cgroup (lab nodes need them for systemd)."
    return Check("control groups", False, "not mounted", remedy)


def capabilities(status: Path = Path("/proc/self/status")) -> Check:
    """SYS_RESOURCE is missing in some containers; Berth does without, `docker run --privileged` does not."""
    lines = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
    bounding = int(lines.get("CapBnd", "0"), 16)
    if bounding >> CAP_SYS_RESOURCE & 1:
        return Check("capabilities", True, "SYS_RESOURCE is there")
    return Check("capabilities", True, "no SYS_RESOURCE: lab nodes do without it, privileged containers fail here")


def pulumi() -> Check:
    """Which CLI runs the program, and with which plugins."""
    chosen, reason = cli.available()
    if chosen is None:
        return Check("Pulumi CLI", False, reason, "`./berth up` compiles one; with --download it fetches one")
    return Check("Pulumi CLI", True, chosen.sentence.partition(": ")[2])


def names(stack_file: StackFile, hosts: Path = Path("/etc/hosts")) -> Check:
    """Whether the registry's name can be made to resolve here."""
    if (stack_file.settings.get("registry") or {}).get("names") == "external":
        return Check("name resolution", True, "left to DNS by registry.names")
    if os.access(hosts, os.W_OK):
        return Check("name resolution", True, f"{hosts} can be written")
    if _succeeds("sudo", "-n", "test", "-w", str(hosts)):
        return Check("name resolution", True, f"{hosts} can be written with sudo")
    remedy = "Run as root, allow sudo without a password, or set registry.names: external and use DNS."
    return Check("name resolution", False, f"{hosts} can't be written", remedy)


def subnet(stack_file: StackFile, table: Path | None = None) -> Check:
    """Whether the lab's network is free on this machine."""
    try:
        settings = stackfile.parse(stack_file.stack, stack_file.document)
    except SettingsError:
        remedy = f"./berth settings check --stack {stack_file.stack} lists the problems."
        return Check("settings", False, f"{stack_file.path.name} is not accepted", remedy)
    if settings.lab is None:
        return Check("network", True, "no lab, no network to make")
    wanted = ipaddress.IPv4Network(settings.lab.subnet)
    own = _own_bridge(stack_file.stack)
    for device, taken in _routes(table or ROUTES):
        if device != own and taken.overlaps(wanted):
            remedy = "Choose other addresses for the lab's nodes in the settings, or remove that network."
            return Check("network", False, f"{wanted} overlaps with {taken} on {device}", remedy)
    used = any(device == own for device, _ in _routes(table or ROUTES))
    return Check("network", True, f"{wanted} is {'the network of this lab' if used else 'free'}")


def _routes(table: Path) -> Iterator[tuple[str, ipaddress.IPv4Network]]:
    """Device and network of each route but the default one; the kernel writes addresses as little-endian numbers."""
    for line in table.read_text().splitlines()[1:]:
        device, destination, *_, mask, _mtu, _window, _irtt = line.split()
        address, bits = (int.from_bytes(bytes.fromhex(text), "little") for text in (destination, mask))
        if bits:
            yield device, ipaddress.IPv4Network((address, bits.bit_count()))


def _own_bridge(stack: str) -> str:
    """The bridge device of the lab's own network, if it is up."""
    try:
        asked = _run("docker", "network", "inspect", "--format", "{{.Id}}", lab_network(stack))
    except FileNotFoundError:
        return ""
    return f"br-{asked.stdout.strip()[:12]}" if asked.returncode == 0 else ""


def _run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def _succeeds(*argv: str) -> bool:
    try:
        return _run(*argv).returncode == 0
    except FileNotFoundError:
        return False
