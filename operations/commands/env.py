"""`berth env`."""

from __future__ import annotations

import shlex

import typer

from operations.commands.options import Stack
from operations.pulumi import environment as pulumi_environment
from operations.workspace import StackFile, Workspace


def env(stack: Stack = "dev") -> None:
    """Print shell commands that let plain `pulumi` work on the stack."""
    workspace = Workspace.current()
    for name, value in pulumi_environment.shell_environment(workspace, StackFile.read(workspace, stack)).items():
        typer.echo(f"export {name}={shlex.quote(value)}")
    for line in pulumi_environment.hand_on(workspace):
        typer.echo(f"# {line}")
