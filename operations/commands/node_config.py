"""`berth node-config`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from operations import node_config as node_configs
from operations.commands.options import ShowSecrets, Stack
from operations.context import check_settings, quiet_session
from operations.errors import UsageError
from operations.workspace import StackFile, Workspace


def node_config(
    node: Annotated[str, typer.Argument(help="The node's name in the settings.")],
    stack: Stack = "dev",
    format_: Annotated[
        node_configs.Format | None, typer.Option("--format", help="Default: what the node's system reads.")
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write to a file that only you read.")] = None,
    show_secrets: ShowSecrets = False,
) -> None:
    """Print what a node is installed with: cloud-config, Ignition or cloud-init."""
    stack_file = StackFile.read(Workspace.current(), stack)
    check_settings(stack_file)
    machine = node_configs.machine(stack_file, node, lambda: quiet_session(stack))
    text, secret = node_configs.text(machine, format_)
    if secret and not show_secrets and output is None:
        raise UsageError(f"The configuration of {node} holds secrets: add --output FILE, or --show-secrets.")
    for note in node_configs.notes(machine):
        typer.echo(f"{node}: {note}", err=True)
    if output is None:
        typer.echo(text, nl=False)
    else:
        node_configs.write(output, text)
