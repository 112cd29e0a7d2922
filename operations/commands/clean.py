"""`berth clean`."""

from __future__ import annotations

import sys

import typer

from operations.commands.options import Yes
from operations.errors import BerthError
from operations.host import prepare
from operations.workspace import Workspace


def clean(yes: Yes = False) -> None:
    """Remove the images and caches that `up` made on this machine; needs every stack to be down."""

    workspace = Workspace.current()
    standing = workspace.standing()
    if standing:
        raise BerthError(f"Still deployed: {', '.join(standing)}. Take them down first (./berth down --stack NAME).")
    if not yes and sys.stdin.isatty() and not typer.confirm("Remove Berth's images and caches from this machine?"):
        raise BerthError("Nothing was removed.")
    prepare.clean()
