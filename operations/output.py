"""How answers are printed: tables, JSON, errors."""

from __future__ import annotations

import json
import sys

import typer
from rich.console import Console

WIDE = 200
"""Columns if there is no terminal."""


def answer_console() -> Console:
    """Where tables go: as wide as they need where stdout is no terminal."""
    return Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=WIDE)


def print_json(value: object) -> None:
    """An answer for a program."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_error(text: str) -> None:
    """An error for a person, on stderr."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False, style="red")
