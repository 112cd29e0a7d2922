"""A preview without a stack's secrets and state: for pull requests of forks, and wherever there is no passphrase.

The embedded engine runs the program with placeholders for secrets. Against a base, it first pretends to deploy that:
its program and its settings, into a state that is thrown away.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import config
from operations.engine_run import Session
from operations.engines import Engine, Kind, search_path
from operations.errors import BerthError, UsageError
from operations.preview.plan import plan
from operations.preview.report import Report, report
from operations.workspace import StackFile

if TYPE_CHECKING:
    from operations.deploy import Run

_UNSEEN = "Not seen: what is deployed, passwords, machines. The preview with the stack's secrets says what up will do."
_FIRST = f"Without the stack's secrets and state: this is what a first deployment would make. {_UNSEEN}"
_AGAINST = (
    "Without the stack's secrets and state: this is what changes against {base}, as if that were what is deployed. "
    + _UNSEEN
)
_SALT = re.compile(r"^encryptionsalt:.*\n?", re.MULTILINE)


def look_without_secrets(run: Run, against: str | None = None) -> tuple[Report, dict[str, Any]]:
    """What can be seen; `against` is a commit, branch or tag of this repository."""
    from operations.deploy import check_settings

    check_settings(run.stack_file)
    with tempfile.TemporaryDirectory(prefix="berth-blind-") as directory:
        here = Path(directory)
        session = _session(run, here, _without_salt(run.stack_file.path, here / "now.yaml"))
        # The first stack file gets a salt of its own; its base shares the state and needs the same.
        session.ask("stack", "init")
        blind = _FIRST
        if against is not None:
            blind = _AGAINST.format(base=against) if _pretend(run, session, here, against) else blind
        planned = plan(session, placeholders=True)
        seen = report(run.stack, planned, config.parse(run.stack, run.stack_file.document), blind)
        return seen, seen.redact.all({**planned.document, "berth": seen.as_json()})


def _session(run: Run, here: Path, settings: Path) -> Session:
    command = (sys.executable, "-m", "engine", "--config-file", str(settings))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    environment |= {
        "PULUMI_BACKEND_URL": (here / "state").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "of no stack",
        "BERTH_HOME": str(run.workspace.home),
        "PYTHONPATH": str(run.workspace.root),
        "PATH": search_path(environment),
    }
    return Session(run.workspace, run.stack_file, Engine(Kind.EMBEDDED, command, "no secrets"), environment)


def _without_salt(stack_file: Path, copy: Path) -> Path:
    copy.write_text(_SALT.sub("", stack_file.read_text(encoding="utf-8")), encoding="utf-8")
    return copy


def _pretend(run: Run, session: Session, here: Path, against: str) -> bool:
    """Whether the base knows the stack; then the state is as after its `up`."""
    base = here / "base"
    _extract(run.workspace.root, against, base)
    if not (base / run.stack_file.path.name).is_file():
        return False
    settings = _without_salt(base / run.stack_file.path.name, here / "base.yaml")
    pretending = _session(run, here, settings)
    problems = config.check(run.stack, StackFile(run.stack, settings, config.read(settings)).document)
    if problems:
        raise BerthError(f"The settings of {run.stack} at {against} are not accepted: {problems[0]}")
    pretending.ask("up", "--yes", "--skip-preview", "--pretend", "--placeholders", "--cwd", str(base))
    return True


def _extract(root: Path, reference: str, target: Path) -> None:
    # Root looks at a checkout that is another user's, which git refuses without a word from us.
    command = ["git", "-c", f"safe.directory={root}", "-C", str(root), "archive", "--format=tar", reference]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if result.returncode:
        raise UsageError(f"git has no {reference} here: {result.stderr.decode(errors='replace').strip()}")
    with tarfile.open(fileobj=io.BytesIO(result.stdout)) as archive:
        archive.extractall(target, filter="data")
