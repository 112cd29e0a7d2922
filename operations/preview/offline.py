"""A preview without a stack's secrets and state: for pull requests of forks, and wherever there is no passphrase.

The program runs on the SDK's mocks, with placeholders for secrets. Against a base, that commit's program and settings
run first, and what they register is taken as deployed.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from config import stackfile
from config.problems import SettingsError
from operations.context import CommandContext, check_settings
from operations.errors import BerthError, UsageError
from operations.preview.mocked import Recording, planned, record
from operations.preview.report import Report, report
from operations.workspace import StackFile

_UNSEEN = "Not seen: what is deployed, passwords, machines. The preview with the stack's secrets says what up will do."
_FIRST = f"Without the stack's secrets and state: this is what a first deployment would make. {_UNSEEN}"
_AGAINST = (
    "Without the stack's secrets and state: this is what changes against {base}, as if that were what is deployed. "
    + _UNSEEN
)


def preview(run: CommandContext, against: str | None = None) -> tuple[Report, dict[str, Any]]:
    """What can be seen; `against` is a commit, branch or tag of this repository."""

    check_settings(run.stack_file)
    base = None if against is None else _base(run, against)
    before = base or Recording()
    found = planned(before, record(run.workspace, run.workspace.root, run.stack_file, before))
    incomplete = _FIRST if base is None else _AGAINST.format(base=against)
    result = report(run.stack, found, stackfile.parse(run.stack, run.stack_file.document), incomplete)
    return result, result.redact.all({**found.document, "berth": result.as_json()})


def _base(run: CommandContext, against: str) -> Recording | None:
    """What the program of a commit registers; None where that does not know the stack."""
    with tempfile.TemporaryDirectory(prefix="berth-incomplete-") as directory:
        root = Path(directory)
        _extract(run.workspace.root, against, root)
        path = root / run.stack_file.path.name
        if not path.is_file():
            return None
        try:
            settings = StackFile(run.stack, path, stackfile.read(path))
        except SettingsError as error:
            raise BerthError(
                f"The settings of {run.stack} at {against} are not accepted: {error.problems[0]}"
            ) from None
        found = record(run.workspace, root, settings, None)
    if found.code:
        why = next((why for _, why in found.failures), "it gave no reason")
        raise BerthError(f"The program of {against} fails for {run.stack}: {why}")
    return found


def _extract(root: Path, reference: str, target: Path) -> None:
    # Root looks at a checkout that is another user's, which git refuses by default.
    command = ["git", "-c", f"safe.directory={root}", "-C", str(root), "archive", "--format=tar", reference]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if result.returncode:
        raise UsageError(f"git has no {reference} here: {result.stderr.decode(errors='replace').strip()}")
    with tarfile.open(fileobj=io.BytesIO(result.stdout)) as archive:
        archive.extractall(target, filter="data")
