"""`berth config`."""

from __future__ import annotations

import typer

from operations.commands.options import Stack
from operations.errors import DONE, FAILED
from operations.pulumi.session import Session, passthrough
from operations.workspace import StackFile, Workspace

CONTEXT = {"ignore_unknown_options": True, "allow_extra_args": True}


def config(context: typer.Context, stack: Stack = "dev") -> None:
    """Run `pulumi config` (get KEY, set KEY VALUE, rm KEY, ...) with the stack's passphrase."""
    workspace = Workspace.current()
    session = Session.open(workspace, StackFile.read(workspace, stack))
    session.ensure_stack()
    raise typer.Exit(FAILED if passthrough(session, ["config", *context.args], asks=True) else DONE)
