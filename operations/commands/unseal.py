"""`berth unseal`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from components.lib import encryption
from operations.commands.options import Stack
from operations.errors import BerthError, UsageError
from operations.pulumi import environment as pulumi_environment
from operations.workspace import StackFile, Workspace


def unseal(
    file: Annotated[Path, typer.Argument(help="A file below .berth/stacks/STACK/exports.")],
    output: Annotated[Path, typer.Argument(help="The file for its content in plain text; must not exist.")],
    stack: Stack = "dev",
) -> None:
    """Decrypt an export of the object store's settings with the stack's passphrase."""
    if not file.is_file():
        raise UsageError(f"There is no file {file}.")
    if output.exists() or not output.absolute().parent.is_dir():
        raise UsageError(f"{output} exists already, or its folder does not: name a new file.")
    workspace = Workspace.current()
    known = pulumi_environment.passphrase(workspace, StackFile.read(workspace, stack), os.environ)
    try:
        content = encryption.unseal(file.read_bytes(), encryption.passphrase(known))
    except BerthError as problem:
        raise BerthError(f"{file} cannot be opened: {problem}") from None
    encryption.write(output, content)
    typer.echo(f"{output}: {len(content)} bytes. It contains secret keys: delete it after use.")
