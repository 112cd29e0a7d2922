"""Process 1 of a container that is a computer: its firmware, a live system, and the system on its disk.

Only what Berth meets is there: the two systems' names and root file systems, an SSH server with the host key of the
system that runs, an installer, and the part of coreos-cloudinit and Ignition that writes files, keys and the name.
The folder /computer is the test's: what is in the optical drive, and what the log of the computer says.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

HERE = Path("/computer")
DISK = Path("/dev/berth")
USER_DATA = Path("/var/lib/coreos-install/user_data")
CONFIGURED = Path("/etc/configured")
AT = 1 << 20

PROGRAMS = {
    "findmnt": "cat /run/root-file-system",
    "lsblk": 'case "$*" in *SIZE*/dev/berth) stat -c %s /dev/berth ;; *TYPE*) echo disk ;; esac',
    "systemctl": "kill -USR1 1; sleep 5",
    # The readiness script's own questions: what the registry answers is the test's business.
    "curl": """
for url; do :; done
case $url in *minio*) status=$(cat /computer/minio) ;; *) status=$(cat /computer/registry) ;; esac
echo "$status $url" >>/computer/asked
printf %s "$status"
""",
    "INSTALLER": """
for last; do :; done
cat /computer/installer
echo "$*" >>/computer/installed
mkswap /dev/berth >/dev/null
printf SYSTEM | dd of=/dev/berth conv=notrunc 2>/dev/null
dd if="$last" of=/dev/berth bs=1M seek=1 conv=notrunc,sync 2>/dev/null
rm -rf /etc/configured /var/lib/coreos-install /var/lib/berth /etc/ssh/ssh_host_*
""",
}


def say(text: str) -> None:
    with (HERE / "log").open("a") as log:
        log.write(f"{time.time():.1f} {text}\n")


def put(path: Path, text: str, mode: int = 0o755) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def on_disk() -> str:
    """The configuration on the disk; empty where no system is."""
    with DISK.open("rb") as disk:
        if disk.read(6) != b"SYSTEM":
            return ""
        disk.seek(AT)
        return disk.read(AT).rstrip(b"\0").decode()


def authorize(keys: list[str]) -> None:
    put(Path("/home/core/.ssh/authorized_keys"), "".join(f"{key}\n" for key in keys), 0o600)
    subprocess.run(["chown", "-R", "core:", "/home/core"], check=True)


def cloud_config(text: str) -> None:
    """At every start."""
    known: dict[str, Any] = yaml.safe_load(text)
    authorize(known["ssh_authorized_keys"])
    subprocess.run(["hostname", known["hostname"]], check=True)
    for file in known["write_files"]:
        put(Path(file["path"]), file["content"], int(file.get("permissions", "0644"), 8))


def ignition(text: str) -> None:
    """At the first start."""
    known: dict[str, Any] = json.loads(text)
    authorize(next(user["sshAuthorizedKeys"] for user in known["passwd"]["users"] if user["name"] == "core"))
    for file in known["storage"]["files"]:
        kind, _, data = file["contents"]["source"].partition(",")
        content = base64.b64decode(data).decode() if kind.endswith("base64") else unquote(data)
        put(Path(file["path"]), content, file.get("mode", 0o644))


def start() -> subprocess.Popen[bytes]:
    """One start of the computer, up to its SSH server."""
    for left in Path("/run").glob("berth-*"):
        left.unlink()
    system = os.environ["SYSTEM"]
    key = Path("/etc/ssh/ssh_host_ed25519_key")
    configuration = on_disk()
    live = (HERE / "live_key").exists() or not configuration
    if live:
        subprocess.run(["hostname", "localhost"], check=True)
        key = Path("/run/live_key")
        put(key, (HERE / "live_key").read_text(), 0o600)
        authorize([(HERE / "user.pub").read_text().strip()])
    elif configuration.startswith("#cloud-config"):
        if not USER_DATA.exists():
            put(USER_DATA, configuration, 0o600)
        cloud_config(USER_DATA.read_text())
    else:
        if not CONFIGURED.exists():
            ignition(configuration)
            CONFIGURED.touch()
        subprocess.run(["hostname", Path("/etc/hostname").read_text().strip()], check=True)
    with Path("/etc/hosts").open("a") as hosts:
        hosts.write(f"127.0.0.1 {socket.gethostname()}\n")
    Path("/run/root-file-system").write_text("tmpfs\n" if live else "ext4\n")
    os_release = Path("/etc/os-release")
    os_release.unlink()
    os_release.write_text(f"NAME=Test\nID={system}\n")
    Path("/run/sshd").mkdir(exist_ok=True)
    say(f"starts {'live' if live else 'from disk'}")
    return subprocess.Popen(["/usr/sbin/sshd", "-D", "-o", f"HostKey={key}", "-o", "MaxStartups=100"])


def restart(*_: object) -> None:
    """Nothing of what ran is left."""
    say("restarts")
    # The disc that a computer was started from is taken out, unless somebody forgot to.
    if not (HERE / "forgotten").exists():
        (HERE / "live_key").unlink(missing_ok=True)
    time.sleep(0.5)
    os.kill(-1, signal.SIGKILL)
    time.sleep(1)
    start()


def main() -> None:
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", "--password", "*", "core"], check=True)
    put(Path("/etc/sudoers.d/core"), "core ALL=(ALL) NOPASSWD:ALL\n", 0o440)
    for name, text in PROGRAMS.items():
        called = f"{os.environ['SYSTEM']}-install" if name == "INSTALLER" else name
        put(Path("/usr/local/bin") / called, f"#!/bin/sh\n{text}\n")
    with DISK.open("wb") as disk:
        disk.truncate(10 << 30)
    signal.signal(signal.SIGUSR1, restart)
    start()
    while True:
        try:
            os.wait()
        except ChildProcessError:
            time.sleep(0.1)


if __name__ == "__main__":
    main()
