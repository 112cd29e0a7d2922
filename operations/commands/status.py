"""`berth status`."""

from __future__ import annotations

from rich.table import Column, Table
from rich.text import Text

from operations.commands.options import Json, Stack
from operations.context import quiet_session
from operations.inspect.collect import collect
from operations.inspect.status import Row, notes, rows
from operations.output import answer_console, print_json


def status(stack: Stack = "dev", as_json: Json = False) -> None:
    """Show every node with its services and their health."""
    snapshot = collect(quiet_session(stack))
    found, remarks = rows(snapshot), notes(snapshot)
    if as_json:
        print_json({"stack": stack, "services": [row.as_json() for row in found], "notes": remarks})
        return
    console = answer_console()
    console.print(_table(found))
    for note in remarks:
        console.print(note, markup=False)


def _table(found: list[Row]) -> Table:
    """The rows as a table, each node named once."""
    # A version is a word that may be long: it goes on in the next line.
    table = Table("node", "roles", "service", "healthy", Column("version", overflow="fold"), "state")
    before = ""
    for row in found:
        first = row.node != before
        cells = [row.node if first else "", ", ".join(row.roles) if first else "", row.service]
        mark = Text("yes", "green") if row.healthy else Text("no", "red")
        table.add_row(*map(Text, cells), mark, Text(row.version), Text(row.detail))
        before = row.node
    return table
