"""What `berth clean` takes away, and what it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from operations.host import prepare
from operations.host.prepare import BootstrapError
from tests.unit.operations.host.machine import Machine


@pytest.fixture
def home(machine: Machine) -> Path:
    for name in ("cache/go/pkg", "venv/bin", "state", "logs"):
        (machine.home / name).mkdir(parents=True)
    (machine.home / "dockerd.pid").write_text("1\n", encoding="utf-8")
    return machine.home


def left(home: Path) -> set[str]:
    return {path.name for path in home.iterdir()}


def test_berths_images_are_removed_and_no_others(home: Path, machine: Machine) -> None:
    machine.has_image("debian:trixie", label="somebody's")
    prepare.clean(Console(quiet=True))
    assert machine.docker_images == {"debian:trixie"}


def test_caches_and_the_seeds_storage_go_and_environment_and_state_stay(home: Path, machine: Machine) -> None:
    machine.runs_docker("")
    prepare.clean(Console(quiet=True))
    assert left(home) == {"venv", "state", "logs"}


def test_a_daemon_that_runs_is_not_forgotten(home: Path, machine: Machine) -> None:
    prepare.clean(Console(quiet=True))
    assert left(home) == {"venv", "state", "logs", "dockerd.pid"}


def test_an_image_in_use_is_refused_with_the_way_out(home: Path, machine: Machine) -> None:
    machine.uses_images("conflict: container 12 is using it")
    with pytest.raises(BootstrapError, match=r"`./berth down` first.*container 12"):
        prepare.clean(Console(quiet=True))
    assert "images.json" in left(home)
