"""What the commands have in common: workspace, stack file, console, and whether they may prompt."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import typer
from rich.console import Console

from config import stackfile
from config.problems import Problem, SettingsError
from operations.errors import UsageError
from operations.output import WIDE
from operations.pulumi import backend, cli
from operations.pulumi.session import Session
from operations.workspace import StackFile, Workspace


@dataclass(frozen=True)
class CommandContext:
    """What every command that changes or previews a stack starts from."""

    workspace: Workspace
    stack_file: StackFile
    console: Console
    yes: bool = False
    confirm: Callable[[str], bool] | None = None
    """Prompts for confirmation; None without a terminal."""
    download: bool = False
    """Whether Pulumi's own installer may fetch the CLI and the published plugins."""

    @classmethod
    def of(cls, stack: str, yes: bool = False, as_json: bool = False) -> CommandContext:
        """The context of a command on a stack; raises UsageError for a stack without a file."""
        workspace = Workspace.current()
        # What is printed beside the answer goes to stderr where the answer is for a program.
        console = Console(stderr=as_json, highlight=False, width=None if sys.stdout.isatty() else WIDE)
        confirm = typer.confirm if sys.stdin.isatty() and sys.stdout.isatty() else None
        return cls(workspace, StackFile.read(workspace, stack), console, yes, confirm)

    @property
    def stack(self) -> str:
        return self.stack_file.stack

    def log(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def session(self) -> Session:
        """The CLI, announced, ready to be called."""
        chosen = cli.choose()
        self.log(chosen.sentence)
        return Session.open(self.workspace, self.stack_file, chosen)


def quiet_session(stack: str) -> Session:
    """The CLI on a deployed stack, for commands whose output is their answer alone."""
    workspace = Workspace.current()
    stack_file = StackFile.read(workspace, stack)
    backend.check(workspace)
    if workspace.has_file_backend and not backend.in_files(workspace, stack):
        # Known even where there is no CLI.
        raise backend.not_deployed(workspace, stack)
    return Session.open(workspace, stack_file)


def problems(stack_file: StackFile) -> list[Problem]:
    """Everything that is wrong with a stack's settings."""
    return stackfile.check(stack_file.stack, stack_file.document)


def check_settings(stack_file: StackFile) -> None:
    """Refuse settings before anything starts."""
    found = problems(stack_file)
    if found:
        raise UsageError(str(SettingsError(stack_file.stack, found)))
