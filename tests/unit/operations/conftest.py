"""Registries of a test's own, which several commands talk to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.registries import Registry, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World.of(tmp_path) as made:
        yield made


@pytest.fixture
def registry(world: World) -> Registry:
    return world.registry()
