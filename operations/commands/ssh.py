"""`berth ssh`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from operations import ssh as access
from operations.commands.options import Stack
from operations.context import quiet_session

CONTEXT = {"ignore_unknown_options": True}


def ssh(
    node: Annotated[str, typer.Argument(help="The node's name in the settings.")],
    command: Annotated[list[str] | None, typer.Argument(help="A command, after --; a shell without one.")] = None,
    stack: Stack = "dev",
) -> None:
    """Open a shell or run a command on a node, its host key pinned."""
    session = quiet_session(stack)
    every = access.hosts(session.workspace, session.outputs())
    argv = access.ssh_command(session.workspace, stack, every, node, command or [])
    os.execvp(argv[0], argv)
