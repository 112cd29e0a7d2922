"""What is wrong with a state backend before the CLI is asked: no such backend, a damaged state, a lost one."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

from operations.errors import BerthError, UsageError
from operations.workspace import Workspace

SCHEMES = ("azblob", "file", "gs", "http", "https", "postgres", "s3")
"""Of the CLI's backends: https://www.pulumi.com/docs/iac/concepts/state-and-backends/"""
NOT_DEPLOYED = "Stack {stack} is not deployed: ./berth up --stack {stack} does that."
_STATE = re.compile(rb'\s*\{.*?"checkpoint"\s*:\s*\{', re.DOTALL)
_CREDENTIALS = re.compile(r"//[^/@]*@")
_BEGINNING = 4096
"""Bytes of a state file in which its checkpoint begins."""


def check(workspace: Workspace) -> None:
    """Refuse a URL that is no backend's, for which the CLI would ask for a login, and a folder that is not there."""
    scheme, found, _ = workspace.backend_url.partition("://")
    # As it was written, but for credentials, which options may hold too.
    shown = _CREDENTIALS.sub("//", workspace.backend_url.partition("?")[0])
    if not found or scheme not in SCHEMES:
        raise UsageError(
            f"PULUMI_BACKEND_URL (or `backend:` in Pulumi.yaml) is {shown!r}, which is no state backend: it "
            f"begins with one of {', '.join(f'{known}://' for known in SCHEMES)}. Without it the state is kept in "
            f"{workspace.own_state}."
        )
    if workspace.has_file_backend and workspace.state != workspace.own_state and not workspace.state.is_dir():
        raise UsageError(
            f"The state backend's folder '{workspace.state}' is not there, or is no folder: create it, or correct "
            "PULUMI_BACKEND_URL (or `backend:` in Pulumi.yaml)."
        )


def in_files(workspace: Workspace, stack: str) -> bool:
    """Whether a file backend knows the stack; raises BerthError where its state file holds no state."""
    found = [path for path in workspace.checkpoints(stack) if path.exists()]
    for path in found:
        if not _STATE.match(_beginning(path)):
            raise BerthError(damaged(path, "it holds no state"))
    return bool(found)


def damaged(path: Path, reason: str) -> str:
    """The sentence about a state file that cannot be used."""
    if path.with_name(f"{path.name}.bak").exists():
        return (
            f"The state file {path} is damaged ({reason}). {path.name}.bak beside it is the state before its last "
            "change: keep the damaged one, copy the other over it, then ./berth up."
        )
    return f"The state file {path} is damaged ({reason}), and there is no {path.name}.bak: restore it from a backup."


def _beginning(path: Path) -> bytes:
    if not path.is_file():
        raise BerthError(damaged(path, "it is no plain file"))
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read(_BEGINNING)
    except (OSError, EOFError) as error:
        raise BerthError(damaged(path, f"it cannot be read: {error}")) from None


def refuse_lost(workspace: Workspace, stack: str) -> None:
    """Refuse to take a stack for a new one that this checkout deployed: its state is lost, or is kept elsewhere."""
    record = workspace.deployed_file(stack)
    if not record.exists() or _removed_in_order(workspace, stack):
        return
    raise BerthError(
        f"This checkout deployed {stack}, but the state backend {workspace.backend_name} has no state of it: restore "
        f"the state or correct PULUMI_BACKEND_URL. If the stack was removed on purpose, delete {record}."
    )


def _removed_in_order(workspace: Workspace, stack: str) -> bool:
    """Whether `pulumi stack rm` removed it from a file backend: it leaves the last state, without a history."""
    if not workspace.has_file_backend:
        return False
    left = any(path.with_name(f"{path.name}.bak").exists() for path in workspace.checkpoints(stack))
    return left and not workspace.history(stack).exists()


def not_deployed(workspace: Workspace, stack: str) -> BerthError:
    """The error of a command that needs a deployed stack."""
    refuse_lost(workspace, stack)
    return BerthError(NOT_DEPLOYED.format(stack=stack))
