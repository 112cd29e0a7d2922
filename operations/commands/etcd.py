"""`berth etcd`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from operations.commands.options import Stack, Yes, group
from operations.context import CommandContext, quiet_session
from operations.housekeeping import etcd as stage

app = group("Back up and restore a stack's etcd.")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The snapshot's file; must not exist.")],
    stack: Stack = "dev",
) -> None:
    """Write a snapshot of etcd's content to a file."""
    member = stage.backup(quiet_session(stack), file)
    typer.echo(f"{file}: {file.stat().st_size} bytes, from {member}. It contains every value in plain text.")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A snapshot, as `backup` writes it.")],
    stack: Stack = "dev",
    yes: Yes = False,
) -> None:
    """Replace etcd's content by a snapshot; etcd is down for some seconds."""
    run = CommandContext.of(stack, yes=yes)
    stage.restore(run, file, typer.prompt if run.confirm else None)
    run.log(f"etcd of {stack} has the content of {file}. Its former data is kept beside it on each member.")
