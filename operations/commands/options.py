"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Stack = Annotated[str, typer.Option("--stack", "-s", metavar="NAME", help="The stack, as in Pulumi.NAME.yaml.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Assume yes to all prompts.")]
ShowSecrets = Annotated[bool, typer.Option("--show-secrets", help="Show passwords.")]
