"""Whole rendered files, compared byte for byte. BERTH_GOLDEN=write renews them; then read the diff."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent


def assert_golden(name: str, text: str) -> None:
    """Compares a rendered text with its file in this folder."""
    path = FOLDER / name
    if os.environ.get("BERTH_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{name} differs; BERTH_GOLDEN=write pytest ... renews it"
