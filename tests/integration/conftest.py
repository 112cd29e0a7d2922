"""One lab for the whole test run: up before the first test that needs it, down after the last."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.lab import Lab, run


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A copy of the working tree with the tests' stack in it, nothing deployed yet."""
    if problem := os.environ.get("BERTH_NO_LAB"):
        pytest.skip(f"this machine could not be made ready for a lab: {problem}")
    if shutil.which("docker") is None or run(["docker", "info"]).returncode != 0:
        pytest.skip("no Docker daemon answers on this machine")
    folder = tmp_path_factory.mktemp("lab")
    # Docker's daemon follows bind mounts by path, and pytest's own folders are closed to others.
    folder.chmod(0o755)
    made = Lab.make(folder)
    yield made
    made.try_berth("down", "--yes")


@pytest.fixture(scope="session")
def lab(checkout: Lab) -> Lab:
    """The lab, up."""
    checkout.berth("up", "--yes", timeout=600)
    return checkout


@pytest.fixture
def settings(lab: Lab) -> Iterator[Any]:
    """Changes the stack's settings for one test; afterwards they are as before, and in force."""
    yield lab.write_settings
    lab.write_settings()
    lab.berth("up", "--yes")
    # A user that was gone in between has another password now.
    vars(lab).pop("known_endpoint", None)
