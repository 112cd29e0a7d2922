"""Lines of systemd's unit files; pure functions."""

from __future__ import annotations

from collections.abc import Iterable


def environment(name: str, value: str) -> str:
    """A line that sets a variable to exactly this value."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'Environment="{name}={escaped}"'


def section(name: str, lines: Iterable[str]) -> str:
    """A section with its lines."""
    return "\n".join([f"[{name}]", *lines]) + "\n"
