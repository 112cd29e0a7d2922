"""`berth settings`."""

from __future__ import annotations

import dataclasses

import typer

from operations.commands.options import Json, Stack, group
from operations.context import check_settings, problems
from operations.errors import DONE, WRONG_USE
from operations.output import print_json
from operations.workspace import StackFile, Workspace

app = group("Work with a stack's settings.")


@app.callback()
def _settings() -> None:
    """With one command alone typer would leave its name out."""


@app.command()
def check(stack: Stack = "dev", as_json: Json = False) -> None:
    """Validate the stack file; exit with 2 if there is a problem."""
    stack_file = StackFile.read(Workspace.current(), stack)
    if as_json:
        found = problems(stack_file)
        print_json([dataclasses.asdict(problem) for problem in found])
        raise typer.Exit(WRONG_USE if found else DONE)
    check_settings(stack_file)
    typer.echo(f"{stack_file.path.name} is accepted.")
