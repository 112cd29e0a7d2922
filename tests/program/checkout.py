"""A copy of the program's own files as a repository of its own, with one stack whose machines nobody can reach."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from config import stackfile
from tests import stub_providers
from tests.program.recorder import ROOT

PARTS = (
    ".gitignore",
    "__main__.py",
    "Pulumi.yaml",
    "Pulumi.prod.yaml",
    "components",
    "config",
    "images",
    "operations",
    "plugins",
)
PASSPHRASE = "a passphrase of the user's own"


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


class Checkout:
    """The copy, with state and logs beside it, and Pulumi's CLI where a test needs one."""

    def __init__(self, directory: Path, cli: Path | None = None) -> None:
        self._cli = cli
        self.root, self.home = directory / "checkout", directory / "home"
        self.root.mkdir()
        self.home.mkdir()
        for part in PARTS:
            source, target = ROOT / part, self.root / part
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        # As after a build of Berth's own images, without which nothing is deployed.
        shutil.copy(ROOT / "tests" / "program" / "home" / "images.json", self.home)
        # Where Pulumi.yaml has it, for a CLI with a Python host of its own.
        (self.root / ".berth").mkdir()
        (self.root / ".berth" / "venv").symlink_to(sys.prefix)
        self.stack_file = self.root / "Pulumi.prod.yaml"

    def commit(self) -> None:
        """Everything as the one commit of a new repository."""
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "base"]):
            git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com", *words]
            subprocess.run(git, cwd=self.root, check=True, capture_output=True)

    def change(self, **settings: Any) -> None:
        """Give settings of the stack other values."""
        document = yaml.safe_load(self.stack_file.read_text())
        document["config"].update({f"berth:{key}": value for key, value in settings.items()})
        self.stack_file.write_text(yaml.safe_dump(document, sort_keys=False))

    def pin(self, folder: Path | None = None, **images: str) -> None:
        """Pin images of services, here or in another tree."""
        file = stackfile.pins_file((folder or self.root) / self.stack_file.name)
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump({"from": {"stack": "staging", "time": "now"}, "images": images}))

    def settings(self, key: str) -> Any:
        return yaml.safe_load(self.stack_file.read_text())["config"][f"berth:{key}"]

    def berth(self, *words: str, passphrase: str | None = PASSPHRASE) -> Ended:
        return self._run([sys.executable, "-m", "operations", *words, "--stack", "prod"], passphrase)

    def pulumi(self, *words: str, text: str = "") -> str:
        """Pulumi's CLI itself, on the state that `berth` uses, with stub providers."""
        assert self._cli is not None
        (self.home / "state").mkdir(exist_ok=True)
        own = stub_providers.environment(self.home / "stubs", self._cli)
        ended = self._run([str(self._cli), *words, "--stack", "prod", "--non-interactive"], PASSPHRASE, text, **own)
        assert ended.code == 0, ended.out + ended.err
        return ended.out

    def _run(self, words: list[str], passphrase: str | None, text: str = "", **own: str) -> Ended:
        environment = environment_of(self.root, self.home, self._cli) | own
        if passphrase is not None:
            environment["PULUMI_CONFIG_PASSPHRASE"] = passphrase
        done = subprocess.run(
            words,
            cwd=self.root,
            env=environment,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        return Ended(done.returncode, done.stdout, done.stderr)


def environment_of(root: Path, home: Path, cli: Path | None) -> dict[str, str]:
    """What `berth` of the tree `root` finds: a home of its own, and no other CLI and plugins than these."""
    # Python's compiled files are kept, as the launcher has it: most of a short run is spent on them otherwise.
    left_out = ("PULUMI_", "PYTHONDONTWRITEBYTECODE")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(left_out)}
    path = os.pathsep.join([str(Path(sys.executable).parent), *([str(cli.parent)] if cli else []), os.defpath])
    return {
        **inherited,
        "BERTH_HOME": str(home),
        "HOME": str(home),
        "PATH": path,
        "PULUMI_BACKEND_URL": (home / "state").as_uri(),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PYTHONPATH": str(root),
    }
