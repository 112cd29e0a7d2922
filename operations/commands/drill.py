"""`berth drill`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from operations.commands.options import Json, Stack
from operations.context import CommandContext
from operations.drill import run as drills
from operations.errors import DONE, FAILED
from operations.output import answer_console, print_json


def drill(
    stack: Stack = "dev",
    fault: Annotated[
        list[str] | None, typer.Option("--fault", metavar="NAME", help="Only this fault, or all that match: 'kill-*'.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How many times to inject the faults.")] = 1,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after this many faults.")] = None,
    duration: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long each fault lasts.")] = 8.0,
    max_outage: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Longest time without a response that passes.")
    ] = 1.0,
    load: Annotated[int, typer.Option(min=1, metavar="N", help="Workers of each kind that push and pull.")] = 1,
    report: Annotated[Path | None, typer.Option(metavar="DIRECTORY", help="Write JSON, table and plot there.")] = None,
    only_undo: Annotated[bool, typer.Option("--undo", help="Only undo the faults that a killed drill left.")] = False,
    as_json: Json = False,
) -> None:
    """Inject faults into a lab under load; exit with 1 if clients saw an outage."""
    run = CommandContext.of(stack, as_json=as_json)
    if only_undo:
        run.log("Undone." if drills.undo(run) else f"No drill has left anything on {stack}.")
        return
    options = drills.Options(fault or (), rounds, count, duration, max_outage, load)
    shown = drills.drill(run, options, lambda so_far: so_far.write(report) if report else None)
    if report:
        shown.write(report)
    if as_json:
        print_json(shown.as_json())
    else:
        answer_console().print(shown.table())
    raise typer.Exit(DONE if shown.ok else FAILED)
