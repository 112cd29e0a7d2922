"""The programs of the VirtualBox provider, run on this machine with a VBoxManage that is a fake."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from components.nodes.vboxmanage.drive import Drive
from components.nodes.vboxmanage.machine import Machine
from components.nodes.vboxmanage.network import Network
from config.paths import ROOT

NAME = "berth-t-node1"
KEY = "ssh-ed25519 AAAAmade"
DISK_MB = 20480


def wanted(changes: Mapping[str, Any]) -> Machine:
    """A machine with everything in the home directory."""
    known: dict[str, Any] = {
        "name": NAME,
        "node": "node1",
        "setting": "berth:nodes[0].virtualbox",
        "directory": "~/machines",
        "network": "berth-t",
        "mac": "080027AABBCC",
        "memory": 2048,
        "cpus": 2,
        "disk": DISK_MB,
        "iso": "~/live.iso",
        "drive": "~/drive.iso",
        "replace": False,
        "port": 42011,
        "seconds": 1,
        "config": "c0ffee",
        "host_key": KEY,
    }
    return Machine(**known | dict(changes))


class VirtualBox:
    """A deploy host with VirtualBox: its files, what it was told to change, and what it knows."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.bin = home / "bin"
        self.bin.mkdir()
        self.program("VBoxManage", f'exec {sys.executable} -I -S {Path(__file__).with_name("fake_vboxmanage.py")} "$@"')
        self.program("ssh-keyscan", f"cat {home}/shown 2>/dev/null")
        self.answers_with(KEY)
        self.iso = home / "live.iso"
        self.iso.write_bytes(b"a live system")
        self.disk = home / "machines" / f"{NAME}.vdi"
        self.note = self.disk.with_suffix(".note")

    def program(self, name: str, text: str) -> None:
        """A program that only the scripts see."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def answers_with(self, key: str) -> None:
        """What the machine's sshd shows from now on; nothing if it does not answer."""
        (self.home / "shown").write_text(f"127.0.0.1 {key}\n" if key else "")

    def wanted(self, **changes: object) -> Machine:
        """A machine with the ISO that is there."""
        return wanted({"sha256": hashlib.sha256(b"a live system").hexdigest()} | changes)

    def run(
        self,
        verb: str,
        of: Machine | Network | Drive | None = None,
        stdin: str | None = None,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """A program of the provider in a session of its own."""
        part = of or self.wanted()
        return subprocess.run(
            [sys.executable, "-m", "components.nodes.vboxmanage", type(part).__name__.lower(), verb],
            input=json.dumps(asdict(part)) if stdin is None else stdin,
            cwd=ROOT,
            env={
                "PATH": f"{self.bin}:{environment.pop('PATH', os.environ['PATH'])}",
                "HOME": str(self.home),
                "FAKE_VIRTUALBOX": str(self.home),
                "BERTH_PAUSE": "0",
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
            timeout=60,
        )

    def machine(self, verb: str, **changes: object) -> str:
        """Runs a verb that must succeed; what it printed."""
        done = self.run(verb, self.wanted(**changes))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refusal(self, verb: str, **changes: object) -> str:
        """Runs a verb that must fail; the sentence that it ended with."""
        done = self.run(verb, self.wanted(**changes))
        assert done.returncode == 1, done.stdout
        assert done.stderr.startswith("berth: "), done.stderr
        return done.stderr.removeprefix("berth: ").strip()

    def installed(self) -> None:
        """A machine that runs from its own disk."""
        self.machine("apply")
        self.machine("boot")
        self.forget()

    @property
    def commands(self) -> list[str]:
        """The commands that changed something, in order."""
        log = self.home / "commands"
        return log.read_text().replace(str(self.home), "HOME").splitlines() if log.exists() else []

    def forget(self) -> None:
        """Leaves the commands so far out of `commands`."""
        (self.home / "commands").unlink(missing_ok=True)

    @property
    def state(self) -> dict[str, Any]:
        """Machines, disks and networks as VirtualBox has them."""
        known: dict[str, Any] = json.loads((self.home / "state.json").read_text())
        return known


@pytest.fixture
def virtualbox(tmp_path: Path) -> VirtualBox:
    return VirtualBox(tmp_path)
