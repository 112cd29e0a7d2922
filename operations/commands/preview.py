"""`berth preview`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from operations.commands.options import Json, Stack
from operations.context import CommandContext
from operations.errors import DIFFERENT, DONE, FAILED, UsageError
from operations.preview import build, markdown, offline, requested, text


def preview(
    stack: Stack = "dev",
    diff: Annotated[bool, typer.Option("--diff", help="Show every file and property that would change.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, as for a pull request.")] = False,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the preview to a file.")] = None,
    is_offline: Annotated[
        bool, typer.Option("--offline", help="Preview without the stack's passphrase and state.")
    ] = False,
    against: Annotated[
        str | None, typer.Option(metavar="COMMIT", help="Offline: show what changes against this commit.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--requested", metavar="FOLDER", help="Preview the settings of another tree; run none of its code."
        ),
    ] = None,
    fail_on_protected: Annotated[
        bool, typer.Option("--fail-on-protected", help="Exit with 1 if a protected resource would be deleted.")
    ] = False,
    expect_no_changes: Annotated[
        bool, typer.Option("--expect-no-changes", help="Exit with 3 if anything would change.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what `up` would do and change nothing; exit with 1 if it would fail or break a rule."""
    if as_json and as_markdown:
        raise UsageError("--json and --markdown exclude each other: use one.")
    if folder and (is_offline or against):
        raise UsageError("--requested needs the stack's state: leave --offline and --against out.")
    context = CommandContext.of(stack, as_json=as_json or as_markdown)
    if folder:
        report, document = requested.preview(context, folder)
    elif is_offline or against:
        report, document = offline.preview(context, against)
    else:
        report, document = build.preview(context)
    if as_json:
        answer = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    else:
        answer = markdown.markdown(report) if as_markdown else text.text(report, diff) + "\n"
    if output:
        output.write_text(answer, encoding="utf-8")
    else:
        typer.echo(answer, nl=False)
    if report.failed or (fail_on_protected and report.losses):
        raise typer.Exit(FAILED)
    raise typer.Exit(DIFFERENT if expect_no_changes and report.changes else DONE)
