"""When the image lock and the storage of the seed registry are taken for current."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import images
from operations.bootstrap import seed

DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A run-time directory in which everything is current."""
    lock: dict[str, dict[str, str]] = {}
    for name in images.NAMES:
        lock[name] = {"reference": images.reference(name), "id": f"sha256:{name}", "version": "1"}
        if name in images.SERVICES:
            lock[name]["digest"] = DIGEST
            repository = tmp_path / "seed/docker/registry/v2/repositories/berth" / name
            link = repository / "_manifests/revisions/sha256" / ("ab" * 32) / "link"
            link.parent.mkdir(parents=True)
            link.write_text(DIGEST, encoding="utf-8")
    (tmp_path / "images.json").write_text(json.dumps(lock), encoding="utf-8")
    return tmp_path


def found() -> dict[str, dict[str, Any]]:
    return {name: {"Id": f"sha256:{name}"} for name in images.NAMES}


def test_nothing_is_stored_again_while_docker_storage_and_lock_agree(home: Path) -> None:
    assert seed.is_current(home, found())


def test_a_lost_lock_is_written_again(home: Path) -> None:
    (home / "images.json").unlink()
    assert not seed.is_current(home, found())


def test_a_damaged_lock_is_written_again(home: Path) -> None:
    (home / "images.json").write_text('{"lab-node":', encoding="utf-8")
    assert not seed.is_current(home, found())


def test_an_image_that_was_built_anew_is_stored_again(home: Path) -> None:
    changed = found()
    changed["nginx"] = {"Id": "sha256:other"}
    assert not seed.is_current(home, changed)


def test_an_image_missing_in_the_storage_is_stored_again(home: Path) -> None:
    next((home / "seed").rglob("minio/**/link")).unlink()
    assert not seed.is_current(home, found())


def test_a_changed_recipe_makes_the_lock_stale(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "reference", lambda name: f"berth/{name}:new")
    assert not seed.is_current(home, found())
