"""`berth gc`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from config import stackfile
from operations.commands.options import Json, Stack, Yes
from operations.context import CommandContext, check_settings, quiet_session
from operations.errors import BerthError, UsageError
from operations.housekeeping import collection_report as report
from operations.housekeeping import collector
from operations.inspect import collect
from operations.output import answer_console, print_json


def gc(
    stack: Stack = "dev",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what a run would do, and change nothing.")] = False,
    now: Annotated[
        bool, typer.Option("--now", help="Remove without waiting for the grace period what is old enough.")
    ] = False,
    undo: Annotated[
        str | None, typer.Option("--undo", metavar="RUN", help="Bring back what a run has removed.")
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Show what is waiting, and the last runs.")] = False,
    confirm: Annotated[
        list[int] | None, typer.Option("--confirm", metavar="N", help="The number that a refusal has asked for.")
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Collect the registry's garbage while it serves: remove blobs that no manifest needs; can be undone."""
    asked = [name for name, given in (("--dry-run", dry_run), ("--undo", undo), ("--status", status)) if given]
    if len(asked) > 1 or ((undo or status) and (now or confirm)):
        raise UsageError("Of --status, --undo and a run (--dry-run, --now, --confirm) one at a time.")
    run = CommandContext.of(stack, yes, as_json)
    check_settings(run.stack_file)
    real = stackfile.parse(stack, run.stack_file.document).lab is None
    prompts = real and now and not dry_run and not yes
    if prompts and run.confirm is None:
        raise UsageError("--now removes before the grace period: without a terminal to confirm at, add --yes.")
    session = quiet_session(stack)
    every = collector.collectors(session, collect.desired(session))

    def ask(*words: str) -> collector.Event:
        return collector.ask(every, words, lambda event: run.log(report.progress(event)))

    if status:
        _status(ask("status"), as_json)
        return
    options = [*(["--now"] if now else []), *(f"--confirm={number}" for number in confirm or [])]
    if undo:
        answer = ask("undo", undo)
        lines = report.undone(answer)
    elif dry_run:
        answer = ask("run", "--dry-run", *options)
        lines = report.plan(answer)
    else:
        if prompts:
            _confirm(run, ask("run", "--dry-run", *options))
        answer = ask("run", *options)
        lines = report.done(answer, stack)
    _show(answer, lines, as_json)


def _confirm(run: CommandContext, plan: collector.Event) -> None:
    for line in report.plan(plan):
        run.log(line)
    if run.confirm is None or not run.confirm("Remove that now?"):
        raise BerthError("Nothing was removed.")


def _show(answer: collector.Event, lines: Sequence[str], as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    for line in lines:
        typer.echo(line)


def _status(answer: collector.Event, as_json: bool) -> None:
    _show(answer, list(report.status(answer)), as_json)
    if not as_json and answer["runs"]:
        answer_console().print(report.history(answer["runs"]))
