"""The images' own Go code: vetted, formatted, and tested by its own tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import images
from config import paths
from operations.host import golang, toolchain

CACHE = paths.home() / "cache"
GO = toolchain.find(CACHE)
MODULES = sorted(path.parent for path in images.FOLDER.glob("*/go.mod") if any(path.parent.glob("*.go")))
BUILD = ("-mod=readonly", "-modcacherw", "-trimpath", "-buildvcs=false")
"""The flags that images are built with: what was compiled for them is not compiled again."""

pytestmark = pytest.mark.skipif(GO is None, reason="no Go that is new enough: ./berth up brings one")


def go(folder: Path, *words: str) -> str:
    """What Go prints; fails with its own words."""
    assert GO
    found = subprocess.run(
        [GO, *words], cwd=folder, env=golang.environment(CACHE), capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


@pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.name)
def test_go_vet_finds_nothing(folder: Path) -> None:
    go(folder, "vet", *BUILD, "./...")


@pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.name)
def test_gofmt_would_change_nothing(folder: Path) -> None:
    assert GO
    gofmt = Path(GO).resolve().with_name("gofmt")
    found = subprocess.run([gofmt, "-l", "."], cwd=folder, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, ""), found.stdout + found.stderr


@pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.name)
def test_go_tests_pass(folder: Path) -> None:
    go(folder, "test", "-timeout=300s", *BUILD, "./...")
