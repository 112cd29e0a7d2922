"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

LONGEST_SUMMARY = 200

Stack = Annotated[str, typer.Option("--stack", "-s", metavar="NAME", help="The stack, as in Pulumi.NAME.yaml.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Assume yes to all prompts.")]
SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""How every command reads `--help` and how wide its text is."""
PLAIN: dict[str, Any] = {"add_completion": False, "pretty_exceptions_enable": False, "rich_markup_mode": None}
"""Help as plain text, errors as `operations.cli.main` prints them."""
ShowSecrets = Annotated[bool, typer.Option("--show-secrets", help="Show passwords.")]


class Group(TyperGroup):
    """Commands with whole summaries, where click would cut them off."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        self.write_section(ctx, formatter, "Commands", self.list_commands(ctx))

    def write_section(self, ctx: Any, formatter: Any, title: str, names: Sequence[str]) -> None:
        """Names and summaries under a title; hidden commands are left out."""
        commands = {name: self.get_command(ctx, name) for name in names}
        with formatter.section(title):
            formatter.write_dl(
                [
                    (name, one.get_short_help_str(LONGEST_SUMMARY))
                    for name, one in commands.items()
                    if one and not one.hidden
                ]
            )


def group(text: str, kind: type[Group] = Group) -> typer.Typer:
    """A command that has commands of its own, with this help text."""
    return typer.Typer(help=text, cls=kind, no_args_is_help=True, context_settings=SETTINGS, **PLAIN)
