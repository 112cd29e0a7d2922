"""Where things are: the checkout, its run-time directory and the files of one stack."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from config import paths, stackfile
from config.naming import PROJECT
from config.paths import ROOT
from config.problems import SettingsError
from operations.errors import UsageError

FILE = "file://"
STACK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Workspace:
    """One checkout and its run-time directory (`BERTH_HOME`)."""

    root: Path
    home: Path
    backend: str = ""
    """URL of the state backend; empty: a folder of this checkout's own."""

    @classmethod
    def current(cls, environment: Mapping[str, str] = os.environ) -> Workspace:
        backend = environment.get("PULUMI_BACKEND_URL") or _of_project(ROOT)
        return cls(ROOT, paths.home(environment), backend)

    @property
    def backend_url(self) -> str:
        """The URL of the state backend: PULUMI_BACKEND_URL, `backend:` in Pulumi.yaml, else the checkout's own."""
        return self.backend or self.state.as_uri()

    @property
    def backend_name(self) -> str:
        """The same without credentials and options."""
        parts = urlsplit(self.backend_url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def has_file_backend(self) -> bool:
        """Whether state and locks are files of this machine."""
        return not self.backend or self.backend.startswith(FILE)

    @property
    def is_service(self) -> bool:
        """Whether Pulumi Cloud, or what speaks like it, keeps the state: it has leases in place of locks."""
        return self.backend.startswith(("http://", "https://"))

    @property
    def own_state(self) -> Path:
        """Where the state is kept unless somebody says otherwise; made when it is needed."""
        return self.home / "state"

    @property
    def state(self) -> Path:
        """The folder of a file backend."""
        if not self.backend:
            return self.own_state
        return (self.root / Path(unquote(self.backend.removeprefix(FILE).partition("?")[0])).expanduser()).absolute()

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    def stack_dir(self, stack: str) -> Path:
        """Files that the program and this command keep about a stack on the deploy host."""
        return self.home / "stacks" / stack

    def progress_file(self, stack: str) -> Path:
        """Progress of a resource that takes minutes."""
        return self.stack_dir(stack) / "progress"

    def deployed_file(self, stack: str) -> Path:
        """How many resources the last complete `up` of this checkout had."""
        return self.stack_dir(stack) / "resources.json"

    def stack_file(self, stack: str) -> Path:
        """The stack's settings."""
        return self.root / f"Pulumi.{stack}.yaml"

    def checkpoint(self, stack: str) -> Path:
        return self.state / ".pulumi" / "stacks" / PROJECT / f"{stack}.json"

    def locks(self, stack: str) -> Path:
        """Where the CLI puts its own lock files."""
        return self.state / ".pulumi" / "locks" / "organization" / PROJECT / stack

    def history(self, stack: str) -> Path:
        """Where the CLI records the runs of a stack."""
        return self.state / ".pulumi" / "history" / PROJECT / stack

    def checkpoints(self, stack: str) -> list[Path]:
        """Where a file backend may keep the stack: plain or gzipped."""
        checkpoint = self.checkpoint(stack)
        return [checkpoint, checkpoint.with_name(checkpoint.name + ".gz")]

    def stack_exists(self, stack: str) -> bool:
        """Whether a file backend knows the stack."""
        return any(path.exists() for path in self.checkpoints(stack))

    def standing(self) -> list[str]:
        """Stacks that a file backend knows."""
        known = self.checkpoint("*").parent
        return sorted({path.name.split(".json")[0] for path in known.glob("*.json*") if ".bak" not in path.name})

    def forget_stack(self, stack: str) -> None:
        """Remove a stack's own files from a file backend: checkpoint, backups, history, tags, locks."""
        pulumi = self.state / ".pulumi"
        for path in (pulumi / "stacks" / PROJECT).glob(f"{stack}.*"):
            if re.fullmatch(rf"{re.escape(stack)}\.(json|journal|pulumi-tags)\b.*", path.name):
                path.unlink()
        for part in ("history", "backups"):
            shutil.rmtree(pulumi / part / PROJECT / stack, ignore_errors=True)
        shutil.rmtree(self.locks(stack), ignore_errors=True)

    def stacks(self) -> list[str]:
        """Stacks that have a settings file here."""
        return sorted(p.name[len("Pulumi.") : -len(".yaml")] for p in self.root.glob("Pulumi.?*.yaml"))


def _of_project(root: Path) -> str:
    """`backend: {url: ...}` of Pulumi.yaml; empty where there is none."""
    try:
        project = yaml.safe_load((root / "Pulumi.yaml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ""
    except yaml.YAMLError as error:
        raise UsageError(f"Pulumi.yaml is not YAML: {error}") from None
    known = project.get("backend") if isinstance(project, dict) else None
    return str(known.get("url") or "") if isinstance(known, dict) else ""


@dataclass(frozen=True)
class StackFile:
    """A stack's settings file before validation."""

    stack: str
    path: Path
    document: dict[str, Any]
    """Its content, with the pins as `berth:pins`."""
    other_pins: Path | None = None
    """Pins that are tried in the place of those beside the file."""

    @property
    def pins(self) -> Path:
        """What was promoted to the stack."""
        return self.other_pins or stackfile.pins_file(self.path)

    @classmethod
    def read(cls, workspace: Workspace, stack: str) -> StackFile:
        if not STACK_NAME.fullmatch(stack):
            raise UsageError(f"'{stack}' can't be the name of a stack: letters, digits, '-', '_' and '.' only.")
        path = workspace.stack_file(stack)
        if not path.is_file():
            known = ", ".join(workspace.stacks()) or "none"
            raise UsageError(f"There is no stack '{stack}': {path.name} is missing. Stacks with a file here: {known}.")
        try:
            document = stackfile.read(path)
        except SettingsError as error:
            raise UsageError(str(error)) from None
        return cls(stack, path, document)

    @property
    def settings(self) -> dict[str, Any]:
        """The `berth:` settings without their prefix."""
        config = self.document.get("config")
        if not isinstance(config, dict):
            return {}
        prefix = f"{PROJECT}:"
        return {str(key)[len(prefix) :]: value for key, value in config.items() if str(key).startswith(prefix)}

    @property
    def is_lab(self) -> bool:
        """A lab holds nothing of value: fixed passphrase, no prompts, `down` removes everything."""
        return bool(self.settings.get("lab"))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
