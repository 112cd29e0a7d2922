"""What this machine must be before anything is installed on it."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from operations.host.errors import BootstrapError

DISK = 12 * 10**9
MEMORY = 6 * 2**30
# A machine sold with 6 GB reports somewhat less, for the kernel keeps a part.
MEMORY_TOLERANCE = 0.95


@dataclass(frozen=True)
class Check:
    """One finding about this machine: whether it passed, what was found and, if not, the remedy."""

    name: str
    ok: bool
    found: str
    remedy: str = ""

    @property
    def sentence(self) -> str:
        """The refusal."""
        return f"{self.found}; {self.remedy}." if self.remedy else f"{self.found}."

    @property
    def shown_remedy(self) -> str:
        """Nothing where nothing has to be done."""
        return "" if self.ok else self.remedy

    def as_json(self) -> dict[str, object]:
        return {"subject": self.name, "found": self.found, "ok": self.ok, "remedy": self.shown_remedy}


def system() -> Check:
    """Linux, for Docker and the lab's nodes are its containers."""
    name = platform.system()
    return Check("system", name == "Linux", f"Berth runs on Linux, and this is {name}", "use a Linux machine")


def root() -> Check:
    """Root: Docker, /etc/hosts and certs.d are root's."""
    if os.geteuid() == 0:
        return Check("root", True, "running as root")
    if shutil.which("sudo"):
        return Check("root", False, "Berth was started without root", "start it with ./berth, which asks sudo")
    return Check("root", False, "Berth needs root, and sudo is not installed", "run it as root or install sudo")


def existing(path: Path) -> Path:
    """The nearest directory that exists."""
    while not path.exists():
        path = path.parent
    return path


def disk(folders: Sequence[Path]) -> Check:
    """Room for the images, Go's caches and the lab's data."""
    free, folder = min((shutil.disk_usage(existing(folder)).free, folder) for folder in folders)
    found = f"{free / 10**9:.1f} GB are free for {folder}"
    return Check("disk", free >= DISK, found, f"Berth needs {DISK // 10**9} GB to build its images: make room there")


def memory(meminfo: Path = Path("/proc/meminfo")) -> Check:
    """Memory for the lab's nodes and for compiling."""
    kilobytes = next(
        (int(line.split()[1]) for line in meminfo.read_text().splitlines() if line.startswith("MemTotal:")), 0
    )
    found = f"This machine has {kilobytes / 2**20:.1f} GB of memory"
    enough = kilobytes * 1024 >= MEMORY * MEMORY_TOLERANCE
    return Check("memory", enough, found, f"Berth needs {MEMORY // 2**30} GB: use a larger machine")


def overlayfs(filesystems: Path = Path("/proc/filesystems")) -> Check:
    """The file system of Docker's layers."""

    def known() -> bool:
        return any(line.split()[-1:] == ["overlay"] for line in filesystems.read_text().splitlines())

    if not known() and shutil.which("modprobe"):
        subprocess.run(["modprobe", "overlay"], capture_output=True, check=False)
    ok = known()
    found = "the kernel has overlayfs" if ok else "This kernel has no overlayfs, which Docker's layers need"
    return Check("overlayfs", ok, found, "" if ok else "use a kernel with CONFIG_OVERLAY_FS")


def taken_ports(wanted: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Those of the (address, port) pairs that another process listens on."""
    return [(address, port) for address, port in wanted if _is_taken(address, port)]


def _is_taken(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            # An address that this machine does not have yet (a bridge's) has no taken ports.
            return error.errno == errno.EADDRINUSE
    return False


def refuse_taken_ports(wanted: Sequence[tuple[str, int]]) -> None:
    """Refuse, in one sentence, ports that are in use."""
    taken = ", ".join(f"{address}:{port}" for address, port in taken_ports(wanted))
    if taken:
        raise BootstrapError(
            f"Another process already listens on {taken}: stop it, or choose another port in the stack's settings."
        )


def refuse(checks: Sequence[Callable[[], Check]]) -> None:
    """Stop at the first thing that is not as it should be."""
    for check in checks:
        result = check()
        if not result.ok:
            raise BootstrapError(result.sentence)
