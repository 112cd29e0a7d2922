"""`berth verify`."""

from __future__ import annotations

import typer
from rich.table import Table
from rich.text import Text

from operations.commands.options import Json, Stack
from operations.context import quiet_session
from operations.errors import DIFFERENT, DONE
from operations.inspect import verified
from operations.inspect.checks import Answer, answers
from operations.inspect.collect import collect
from operations.output import answer_console, print_json


def verify(stack: Stack = "dev", as_json: Json = False) -> None:
    """Check every node against the state, read-only; exit with 3 if a check fails."""
    session = quiet_session(stack)
    state = verified.fingerprint(session)
    snapshot = collect(session)
    found = answers(snapshot.desired, snapshot.reports, snapshot.endpoints)
    wrong = sum(1 for answer in found if not answer.ok)
    if not wrong:
        verified.save_last_verify(session, state)
    if as_json:
        print_json({"stack": stack, "ok": not wrong, "answers": [answer.as_json() for answer in found]})
    else:
        console = answer_console()
        console.print(_table(found))
        console.print(f"{wrong} of {len(found)} checks failed." if wrong else f"All {len(found)} checks passed.")
    raise typer.Exit(DIFFERENT if wrong else DONE)


def _table(found: list[Answer]) -> Table:
    """Checks and their results in green and red."""
    table = Table("check", "node", "ok", "result")
    for answer in found:
        mark = Text("yes", "green") if answer.ok else Text("NO", "red")
        table.add_row(Text(answer.question), Text(answer.node), mark, Text(answer.answer))
    return table
