"""`berth promote`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from operations.commands.options import Json, Yes
from operations.context import CommandContext
from operations.errors import UsageError
from operations.output import print_json
from operations.promote.plan import Options
from operations.promote.run import promote as promote_images


def promote(
    to: Annotated[str, typer.Option("--to", metavar="STACK", help="The target stack.")],
    source: Annotated[
        str | None, typer.Option("--from", metavar="STACK", help="The source stack: healthy and verified.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="FILE", help="Return to an older promotion instead.")
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option("--image", metavar="PATTERN", help="Only these images: 'team/*', team/app:1. Default: all tags."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done and write nothing.")] = False,
    from_passphrase: Annotated[
        Path | None,
        typer.Option("--from-passphrase-file", metavar="FILE", help="Passphrase of --from, where it has another one."),
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Pin in one stack the images that another has verified, and copy them, after a preview and confirmation."""
    if (source is None) == (record is None):
        raise UsageError("Name what to promote: --from STACK, or --record FILE to return to an older promotion.")
    options = Options(source, record, image or (), dry_run, from_passphrase)
    promotion = promote_images(CommandContext.of(to, yes, as_json), options)
    if as_json:
        print_json(promotion.as_json())
