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

from tests.program.recorder import ROOT

PARTS = ("__main__.py", "Pulumi.yaml", "Pulumi.prod.yaml", "components", "config", "engine", "images", "operations")
PASSPHRASE = "a passphrase of the user's own"


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


class Checkout:
    """The copy, with state and logs beside it."""

    def __init__(self, directory: Path) -> None:
        self.root, self.home = directory / "checkout", directory / "home"
        self.root.mkdir()
        self.home.mkdir()
        for part in PARTS:
            source, target = ROOT / part, self.root / part
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
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

    def settings(self, key: str) -> Any:
        return yaml.safe_load(self.stack_file.read_text())["config"][f"berth:{key}"]

    def berth(self, *words: str, passphrase: str | None = PASSPHRASE) -> Ended:
        return self._run(["operations", *words, "--stack", "prod"], passphrase)

    def engine(self, *words: str, text: str = "") -> str:
        """The embedded engine itself, on the state that `berth` uses."""
        ended = self._run(["engine", *words, "--stack", "prod"], PASSPHRASE, text)
        assert ended.code == 0, ended.out + ended.err
        return ended.out

    def _run(self, words: list[str], passphrase: str | None, text: str = "") -> Ended:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}
        environment |= {"BERTH_HOME": str(self.home), "PYTHONPATH": str(self.root)}
        environment |= {"PULUMI_BACKEND_URL": (self.home / "state").as_uri()}
        if passphrase is not None:
            environment["PULUMI_CONFIG_PASSPHRASE"] = passphrase
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.root,
            env=environment,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        return Ended(done.returncode, done.stdout, done.stderr)
