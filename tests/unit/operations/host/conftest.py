"""The deploy host that these tests have instead of the real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.host import plan, toolchain
from tests.unit.operations.host.machine import Machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine that is ready."""
    folder = tmp_path / "machine"
    folder.mkdir()
    made = Machine(folder)
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setenv("BERTH_HOME", str(made.home))
    monkeypatch.setattr(toolchain, "ROOT", folder)
    monkeypatch.setattr(plan, "CLUSTERS", made.clusters)
    return made
