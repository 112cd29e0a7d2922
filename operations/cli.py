"""The table of commands: each is imported when it is called, so that `berth` starts fast."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from typing import Any

import typer

from operations.commands.options import PLAIN, SETTINGS, Group, group
from operations.errors import FAILED, BerthError
from operations.output import print_error
from operations.pulumi.follow import new_log
from operations.workspace import Workspace

SECTIONS = {
    "Stack": ("up", "preview", "down", "promote", "settings", "config", "env", "node-config"),
    "Inspect": ("status", "verify", "drift", "endpoint", "ssh"),
    "Day two": ("etcd", "cache", "gc", "unseal", "drill"),
    "Kolla": ("kolla",),
    "This machine": ("doctor", "test", "clean"),
}
"""Every command, in the order of `berth --help`; its module has its name."""


class Commands(Group):
    """Commands by section; a command's module is imported when it is needed."""

    # Typer keeps the types of its own copy of click private.
    def list_commands(self, ctx: Any) -> list[str]:
        return [name for names in SECTIONS.values() for name in names]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.list_commands(ctx):
            return None
        attribute = cmd_name.replace("-", "_")
        module = import_module(f"operations.commands.{attribute}")
        if hasattr(module, "app"):
            return typer.main.get_command(module.app)
        single = typer.Typer(**PLAIN)
        settings = {**SETTINGS, **getattr(module, "CONTEXT", {})}
        single.command(cmd_name, context_settings=settings)(getattr(module, attribute))
        return typer.main.get_command(single)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for section, names in SECTIONS.items():
            self.write_section(ctx, formatter, section, names)


app = group("A private, highly available Docker registry on your own machines.", Commands)


@app.callback()
def _root() -> None:
    """Has no options of its own."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command; known errors are shown as text, unexpected ones as one sentence and a file."""
    try:
        app(arguments, prog_name="berth")
    except BerthError as error:
        print_error(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(FAILED)
    except Exception as error:
        log = new_log(Workspace.current(), "berth", "crash")
        log.write_text(traceback.format_exc(), encoding="utf-8")
        print_error(f"berth stopped on an unexpected error ({type(error).__name__}); the details are in {log}.")
        sys.exit(FAILED)
