"""Which image a service runs: named in the settings, promoted, or built here last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from components.lib.image_references import Images
from config import stackfile
from config.paths import ROOT
from config.problems import SettingsError

BUILT, OLDER, ELSEWHERE = (f"sha256:{digit * 64}" for digit in "123")
SEED = "10.77.0.2:4999/berth"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A deploy host that has built all images twice: the lock knows the last ones only."""
    monkeypatch.setenv("BERTH_HOME", str(tmp_path))
    lock = {name: {"reference": f"berth/{name}:1", "digest": BUILT} for name in ("registry", "minio", "nginx")}
    (tmp_path / "images.json").write_text(json.dumps(lock))
    for name in lock:
        for digest in (BUILT, OLDER):
            folder = tmp_path / "seed/docker/registry/v2/repositories/berth" / name / "_manifests/revisions/sha256"
            (folder / digest.removeprefix("sha256:")).mkdir(parents=True)
            (folder / digest.removeprefix("sha256:") / "link").touch()
    return tmp_path


def images(pins: dict[str, str] | None = None, named: dict[str, Any] | None = None) -> Images:
    document = stackfile.read(ROOT / "Pulumi.dev.yaml")
    if pins is not None:
        source = {"stack": "staging", "time": "2026-11-22T10:41:07Z", "commit": "9332128e0c1f9d61"}
        document["config"]["berth:pins"] = {"from": source, "images": pins}
    document["config"]["berth:images"] = named or {}
    return Images.of(stackfile.parse("dev", document))


def test_what_nobody_names_is_what_was_built_here_last() -> None:
    assert images().on_nodes("objectStore") == f"{SEED}/minio@{BUILT}"


def test_a_promoted_image_is_taken_though_a_newer_one_was_built() -> None:
    found = images({"objectStore": OLDER, "keepalived": OLDER})
    assert found.on_nodes("objectStore") == f"{SEED}/minio@{OLDER}"
    assert found.on_nodes("keepalived") == f"{SEED}/nginx@{OLDER}", "keepalived comes out of nginx's image"
    assert found.on_nodes("nginx") == f"{SEED}/nginx@{BUILT}"


def test_a_promoted_image_of_another_registry_is_taken_from_there() -> None:
    found = images({"cache": f"r.x/cache@{ELSEWHERE}"})
    assert found.on_nodes("cache") == f"r.x/cache@{ELSEWHERE}"
    assert "cache" in found.pinned, "its configuration is that of a public image"


def test_what_the_settings_name_comes_before_the_pin_of_the_same_image() -> None:
    found = images({"objectStore": ELSEWHERE}, {"objectStore": f"r.x/minio@{ELSEWHERE}"})
    assert found.on_nodes("objectStore").startswith("r.x/")


def test_promoted_images_that_are_missing_here_are_refused_all_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        images({"objectStore": ELSEWHERE, "cache": ELSEWHERE})
    said = str(refused.value)
    assert "2 settings" in said and "berth:pins.images.objectStore" in said and "berth:pins.images.cache" in said
    assert ELSEWHERE in said and "promoted from staging" in said and "check out 9332128e0c1f" in said


def test_what_a_stack_runs_is_what_another_stack_can_pin() -> None:
    ran = images({"objectStore": OLDER}, {"cache": f"r.x/cache@{ELSEWHERE}"}).pins()
    assert ran == {
        "registry": BUILT,
        "objectStore": OLDER,
        "nginx": BUILT,
        "keepalived": BUILT,
        "cache": f"r.x/cache@{ELSEWHERE}",
    }
    assert images(ran).pins() == ran


def test_a_stack_names_the_recipe_of_what_was_built_here_only() -> None:
    ran = images({"objectStore": OLDER}, {"cache": f"r.x/cache@{ELSEWHERE}"})
    assert ran.recipes() == {"registry": "1", "nginx": "1", "keepalived": "1"}
