"""The folder with files that are merged into the services' own."""

from __future__ import annotations

from pathlib import Path

LARGEST = 200_000
"""Bytes of all files together: they travel through the state."""


class OverridesError(Exception):
    """The folder cannot be used; the text names the setting, ready for the user."""

    user_message = True


def read_overrides(root: Path, folder: str | None) -> dict[str, str]:
    """The files of `kolla.overrides` by their path below it; `root` is the checkout."""
    if folder is None:
        return {}
    top, setting = root / folder, "berth:kolla.overrides"
    if not top.is_dir():
        raise OverridesError(f"{setting}: there is no folder {folder} in the checkout.")
    found = {}
    for path in sorted(path for path in top.rglob("*") if path.is_file()):
        try:
            found[path.relative_to(top).as_posix()] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise OverridesError(f"{setting}: {path.relative_to(root)} is no text.") from None
    if sum(map(len, found.values())) > LARGEST:
        raise OverridesError(f"{setting}: {folder} holds more than {LARGEST} bytes.")
    return found
