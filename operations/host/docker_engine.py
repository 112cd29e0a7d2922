"""Docker on the deploy host: found or installed from the distribution, running, and of a known age."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from operations.host.errors import BootstrapError
from operations.host.preflight import Check
from operations.host.shell import Shell

OLDEST = (20, 10)
NEWEST = 29
TIMEOUT = 60.0
PID_FILES = {
    Path("/run/docker.pid"): "dockerd",
    Path("/run/docker/containerd/containerd.pid"): "containerd",
}


def server_version() -> str:
    """The running daemon's version, empty where none answers."""
    if not shutil.which("docker"):
        return ""
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""


def age(version: str) -> tuple[int, int]:
    """Major and minor number."""
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def check(version: str) -> Check:
    """Whether Berth works with this daemon."""
    if not version:
        return Check("docker", False, "Docker does not answer", "`./berth up` installs and starts it")
    if age(version) < OLDEST:
        return Check("docker", False, f"Docker {version} is too old", "install 20.10 to 29")
    if age(version)[0] > NEWEST:
        return Check("docker", True, f"Docker {version}, newer than Berth was tried with (20.10 to {NEWEST})")
    return Check("docker", True, f"Docker {version}")


def missing_packages() -> list[str]:
    """Packages that provide what is missing; the client is a package of its own on newer Debians."""
    packages = []
    if not shutil.which("dockerd"):
        # Without recommended packages nothing else brings iptables, and the daemon does not start without it.
        packages += ["docker.io", "iptables"]
    if not shutil.which("docker"):
        # A host without apt is told so when it comes to installing.
        asked = ["apt-cache", "show", "docker-cli"]
        known = shutil.which(asked[0]) and not subprocess.run(asked, capture_output=True, check=False).returncode
        packages.append("docker-cli" if known else "docker.io")
    return sorted(set(packages))


def remove_stale_pid_file(pid_file: Path, program: str) -> None:
    """Remove the pid file of a daemon that died: its pid may belong to another process by now."""
    if not pid_file.is_file():
        return
    number = pid_file.read_text(encoding="utf-8").strip()
    name = Path("/proc") / number / "comm"
    if not number.isdigit() or not name.is_file() or name.read_text(encoding="utf-8").strip() != program:
        pid_file.unlink()


def start(home: Path, shell: Shell) -> None:
    """Start the daemon: by the service manager, or by itself where none runs. It is never stopped by Berth."""
    if server_version():
        return
    if Path("/run/systemd/system").is_dir():
        shell.run(["systemctl", "enable", "--now", "docker"])
        log = "journalctl --unit docker"
    else:
        for pid_file, program in PID_FILES.items():
            remove_stale_pid_file(pid_file, program)
        path = home / "logs" / "dockerd.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        shell.note(f"$ dockerd >{path}")
        with path.open("ab") as output:
            process = subprocess.Popen(
                ["dockerd"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
                env={key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
            )
        (home / "dockerd.pid").write_text(f"{process.pid}\n", encoding="utf-8")
        log = str(path)
    deadline = time.monotonic() + TIMEOUT
    while not server_version():
        if time.monotonic() > deadline:
            raise BootstrapError(f"Docker does not answer {TIMEOUT:.0f} s after its start; see {log}.")
        time.sleep(0.3)
