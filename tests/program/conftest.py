"""Pulumi's CLI for tests that run the whole program with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.pulumi.cli import fitting


@pytest.fixture(scope="session")
def cli() -> Path:
    """The CLI that is here, the user's or the compiled one."""
    program, reason = fitting()
    if program is None:
        pytest.skip(f"no Pulumi CLI: {reason}; ./berth test compiles one")
    return program
