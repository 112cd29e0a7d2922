"""The environment of kolla-ansible and Ansible: made when first needed, as `requirements-kolla.lock` pins it."""

from __future__ import annotations

import fcntl
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from operations.errors import BerthError
from operations.host.errors import BootstrapError
from operations.host.shell import Shell
from operations.workspace import Workspace

LOCK = "requirements-kolla.lock"


@dataclass(frozen=True)
class Environment:
    """A virtual environment with kolla-ansible in it."""

    folder: Path

    @property
    def share(self) -> Path:
        """kolla-ansible's data files: playbooks, samples."""
        return self.folder / "share" / "kolla-ansible"

    @property
    def sample_inventory(self) -> str:
        """The release's own inventory for several nodes."""
        return (self.share / "ansible" / "inventory" / "multinode").read_text(encoding="utf-8")

    @property
    def sample_passwords(self) -> dict[str, object]:
        """The keys of the release's passwords.yml."""
        text = (self.share / "etc_examples" / "kolla" / "passwords.yml").read_text(encoding="utf-8")
        return dict(yaml.safe_load(text))

    def program(self, name: str) -> str:
        return str(self.folder / "bin" / name)


def environment(workspace: Workspace, log: Callable[[str], None]) -> Environment:
    """The virtual environment, recreated when the lock file has changed, which takes a minute."""
    folder, lock = workspace.home / "kolla-venv", workspace.root / LOCK
    stamp = folder / ".berth-lock"
    found = Environment(folder)
    workspace.home.mkdir(parents=True, exist_ok=True)
    with (workspace.home / "kolla-venv.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if stamp.is_file() and stamp.read_bytes() == lock.read_bytes():
            return found
        log(f"Installing kolla-ansible and Ansible into {folder}, as {LOCK} pins them.")
        shutil.rmtree(folder, ignore_errors=True)
        shell = Shell(workspace.logs / "kolla-venv.log")
        pip = [found.program("python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-compile"]
        try:
            shell.run([sys.executable, "-m", "venv", str(folder)])
            shell.run([*pip, "--require-hashes", "--requirement", str(lock)])
        except BootstrapError as problem:
            raise BerthError(f"kolla-ansible can't be installed.\n{problem}") from None
        stamp.write_bytes(lock.read_bytes())
    return found
