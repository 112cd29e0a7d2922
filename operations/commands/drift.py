"""`berth drift`."""

from __future__ import annotations

from typing import Annotated

import typer

from operations.commands.options import Json, Stack
from operations.context import quiet_session
from operations.drift.detect import detect
from operations.output import answer_console, print_json


def drift(
    stack: Stack = "dev",
    as_json: Json = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, as for an issue.")] = False,
) -> None:
    """Compare nodes and services with the state; exit with 3 on drift, with 1 if a node cannot be read."""
    found = detect(quiet_session(stack))
    if as_json:
        print_json(found.as_json())
    elif as_markdown:
        typer.echo(found.as_markdown(), nl=False)
    else:
        found.show(answer_console())
    raise typer.Exit(found.exit_code)
