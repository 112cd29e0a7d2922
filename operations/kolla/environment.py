"""The environment of kolla-ansible and Ansible: made when first needed, as `requirements-kolla.lock` pins it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from operations import locks
from operations.errors import BerthError
from operations.host.errors import BootstrapError
from operations.host.shell import Shell
from operations.host.venv import Venv
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
    folder = workspace.home / "kolla-venv"
    venv = Venv(folder, workspace.root / LOCK)
    with locks.exclusive(workspace.home / "kolla-venv.lock", lambda: log("Waiting for another run to install it.")):
        if not venv.is_current:
            log(f"Installing kolla-ansible and Ansible into {folder}, as {LOCK} pins them.")
            try:
                venv.install(Shell(workspace.logs / "kolla-venv.log"))
            except BootstrapError as problem:
                raise BerthError(f"kolla-ansible can't be installed.\n{problem}") from None
    return Environment(folder)
