"""`berth down`."""

from __future__ import annotations

from typing import Annotated

import typer

from operations.commands.options import Stack, Yes
from operations.context import CommandContext
from operations.teardown import down as teardown


def down(
    stack: Stack = "dev",
    delete_data: Annotated[
        str | None,
        typer.Option("--delete-data", metavar="STACK", help="Repeat the stack's name to delete its data too."),
    ] = None,
    yes: Yes = False,
) -> None:
    """Destroy the stack; a lab is removed completely, real nodes keep their data."""
    teardown.down(CommandContext.of(stack, yes), delete_data)
