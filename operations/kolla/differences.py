"""What a deployment would be told differently from the last one, and what that asks for."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from components.kolla import render
from config.kolla_release import Release
from operations.errors import BerthError


def files(document: Mapping[str, Any], sample: str) -> dict[str, str]:
    """The rendered files without the ways into nodes, which are this machine's affair."""
    return render.files(document, sample, {})


def text(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """A unified difference over all files; "" where there is none."""
    parts: list[str] = []
    for path in sorted({*before, *now}):
        old, new = before.get(path, "").splitlines(), now.get(path, "").splitlines()
        parts += difflib.unified_diff(old, new, f"deployed/{path}", f"wanted/{path}", lineterm="", n=1)
    return "\n".join(parts)


def verb(before: Mapping[str, Any] | None, now: Mapping[str, Any], release: Release) -> tuple[str, list[str]]:
    """The step that leads from one deployment to the next, and its options.

    Raises BerthError where the release between the two was left out.
    """
    if before is None:
        return "deploy", []
    if before["release"] != now["release"]:
        check_upgrade(str(before["release"]), release)
        return "upgrade", []
    return "reconfigure", []


def check_upgrade(before: str, release: Release) -> None:
    """Kolla's own order of releases: databases are migrated from one to the next."""
    if before not in (release.name, *release.after):
        raise BerthError(
            f"berth:kolla.release: {release.name} cannot follow {before}, which is deployed: "
            f"go to {' or '.join(release.after)} first."
        )
