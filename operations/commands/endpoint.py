"""`berth endpoint`."""

from __future__ import annotations

import typer

from operations.commands.options import Json, ShowSecrets, Stack
from operations.context import quiet_session
from operations.output import print_json
from operations.registry import endpoint as endpoints


def endpoint(stack: Stack = "dev", show_secrets: ShowSecrets = False, as_json: Json = False) -> None:
    """Print the registry's address, CA file and users."""
    session = quiet_session(stack)
    end = endpoints.endpoint(session.workspace, stack, session.outputs(show_secrets=True), show_secrets)
    if as_json:
        print_json(end.as_json())
        return
    typer.echo(f"registry  {end.registry}\nca_file   {end.ca_file}")
    for word, user in end.users.items():
        typer.echo(f"{word:<9} {user.username} {user.password or '(--show-secrets)'}" if user else f"{word:<9} no user")
