"""`berth up`."""

from __future__ import annotations

import dataclasses
from typing import Annotated, NoReturn

import typer

from config import stackfile
from operations.commands.options import Json, Stack, Yes
from operations.context import CommandContext
from operations.drift import repair as drift_repair
from operations.output import print_json
from operations.pulumi import up as deployment
from operations.registry import endpoint as endpoints


def up(
    stack: Stack = "dev",
    repair: Annotated[bool, typer.Option("--repair", help="Repair what drifted and change nothing else.")] = False,
    download: Annotated[
        bool, typer.Option("--download", help="Download Pulumi's CLI and plugins where they are missing.")
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Deploy the stack; installs and builds what is missing first."""
    run = dataclasses.replace(CommandContext.of(stack, yes, as_json), download=download)
    if repair:
        _repair(run, as_json)
    outcome = deployment.up(run)
    end = endpoints.expected_endpoint(run.workspace, stackfile.parse(stack, run.stack_file.document))
    if as_json:
        print_json({**end.as_json(), "changes": outcome.view.changes or {}, "seconds": round(outcome.seconds, 1)})
    else:
        run.log(deployment.closing_words(outcome, end, stack))


def _repair(run: CommandContext, as_json: bool) -> NoReturn:
    done = drift_repair.repair(run)
    if as_json:
        print_json(done.as_json())
    elif done.changed:
        done.after.show(run.console)
    raise typer.Exit(done.after.exit_code)
