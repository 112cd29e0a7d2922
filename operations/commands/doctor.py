"""`berth doctor`."""

from __future__ import annotations

import typer
from rich.table import Table
from rich.text import Text

from operations.commands.options import Json, Stack
from operations.errors import DONE, FAILED
from operations.host import doctor as doctors
from operations.host.preflight import Check
from operations.output import answer_console, print_json
from operations.workspace import StackFile, Workspace


def doctor(stack: Stack = "dev", as_json: Json = False) -> None:
    """Diagnose this host and suggest fixes."""

    workspace = Workspace.current()
    found = doctors.findings(StackFile.read(workspace, stack))
    if as_json:
        print_json([finding.as_json() for finding in found])
    else:
        answer_console().print(_table(found))
    raise typer.Exit(DONE if all(finding.ok for finding in found) else FAILED)


def _table(found: list[Check]) -> Table:
    """Findings and remedies."""
    table = Table("subject", "ok", "found", "what to do")
    for finding in found:
        mark = Text("yes", "green") if finding.ok else Text("NO", "red")
        table.add_row(Text(finding.name), mark, Text(finding.found), Text(finding.shown_remedy))
    return table
