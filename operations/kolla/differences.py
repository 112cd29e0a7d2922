"""Differences between the inputs of the next deployment and those of the last one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from components.kolla import render


def files(document: Mapping[str, Any], sample: str) -> dict[str, str]:
    """The rendered files without SSH variables, which are local to this machine."""
    return render.files(document, sample, {})


def text(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """A unified difference over all files; "" where there is none."""
    parts: list[str] = []
    for path in sorted({*before, *now}):
        old, new = before.get(path, "").splitlines(), now.get(path, "").splitlines()
        parts += difflib.unified_diff(old, new, f"deployed/{path}", f"wanted/{path}", lineterm="", n=1)
    return "\n".join(parts)
