"""What the images are made from: pins in step with each other, tags that follow from every input."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import images
from config.paths import ROOT
from operations.host import plan


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the recipes that a test may change."""
    folder = tmp_path / "images"
    shutil.copytree(images.FOLDER, folder)
    monkeypatch.setattr(images, "FOLDER", folder)
    images.input_hash.cache_clear()
    images.versions.cache_clear()
    return folder


@pytest.fixture(autouse=True)
def _forget() -> object:
    yield
    images.input_hash.cache_clear()
    images.versions.cache_clear()


@pytest.mark.parametrize("name", images.NAMES)
def test_a_tag_is_twelve_hex_digits_and_known_without_building(name: str) -> None:
    assert re.fullmatch(rf"berth/{name}:[0-9a-f]{{12}}", images.reference(name))


@pytest.mark.parametrize("name", images.NAMES)
def test_a_changed_file_changes_the_tag_of_its_image_and_of_no_other(name: str, copied: Path) -> None:
    before = {each: images.input_hash(each) for each in images.NAMES}
    (images.folder(name) / "added").write_text("x", encoding="utf-8")
    images.input_hash.cache_clear()
    assert {each for each in images.NAMES if images.input_hash(each) != before[each]} == {name}


def test_a_changed_health_check_changes_every_image_that_has_it(copied: Path) -> None:
    before = {each: images.input_hash(each) for each in images.NAMES}
    (images.folder(images.HEALTH) / "more.go").write_text("package main\n", encoding="utf-8")
    images.input_hash.cache_clear()
    assert {each for each in images.NAMES if images.input_hash(each) != before[each]} == set(plan.GO_IMAGES)


def test_a_changed_go_test_changes_no_tag(copied: Path) -> None:
    before = images.input_hash("registry")
    (images.folder("registry") / "more_test.go").write_text("package main\n", encoding="utf-8")
    images.input_hash.cache_clear()
    assert images.input_hash("registry") == before


def test_another_debian_changes_only_the_images_made_of_debian(copied: Path) -> None:
    before = {each: images.input_hash(each) for each in images.NAMES}
    base = images.base_hash()
    file = copied / "versions.toml"
    file.write_text(file.read_text().replace('suite = "trixie"', 'suite = "forky"'))
    images.input_hash.cache_clear()
    images.versions.cache_clear()
    assert {each for each in images.NAMES if images.input_hash(each) != before[each]} == {"lab-node", "nginx"}
    assert images.base_hash() != base


def test_an_unknown_image_has_no_tag() -> None:
    with pytest.raises(KeyError):
        images.input_hash("postgres")


@pytest.mark.parametrize("name", plan.GO_IMAGES)
def test_the_pinned_module_is_the_one_in_go_mod_with_its_checksum(name: str) -> None:
    pins = images.versions()[name]
    module = f"{pins['module']} {pins['version']}"
    assert module in (images.folder(name) / "go.mod").read_text(encoding="utf-8")
    assert f"{module} h1:" in (images.folder(name) / "go.sum").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", plan.GO_IMAGES)
def test_the_program_says_the_version_that_is_pinned(name: str) -> None:
    pins = images.versions()[name]
    said = " ".join(pins["linker"])
    # A pseudo-version holds the commit's time and the commit; a release its own name.
    commit = re.search(r"-(\d{14})-([0-9a-f]{12})$", pins["version"])
    if commit:
        assert commit[2] in said
        assert commit[1] == re.sub(r"\D", "", re.search(r"Version=(\S+)", said)[1])  # type: ignore[index]
    else:
        assert f"={pins['version']}" in said


def test_registry_and_its_stand_in_share_what_they_are_compiled_from() -> None:
    own, other = ((images.folder(name) / "go.mod").read_text(encoding="utf-8") for name in ("registry", "upstream"))
    pinned = re.compile(r"^\s+(\S+ v\S+)", re.M)
    assert set(pinned.findall(other)) <= set(pinned.findall(own))


@pytest.mark.parametrize("name", plan.GO_IMAGES)
def test_the_services_made_of_go_do_not_run_as_root(name: str) -> None:
    assert images.versions()[name]["user"] == "65532:65532"


def test_no_go_mod_asks_for_a_newer_go_than_the_pinned_minimum() -> None:
    minimum = tuple(map(int, images.versions()["go"]["minimum"].split(".")))
    for name in plan.GO_IMAGES:
        asked = re.search(r"^go (\S+)$", (images.folder(name) / "go.mod").read_text(encoding="utf-8"), re.M)
        assert asked and tuple(map(int, asked[1].split("."))) <= minimum


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_the_launcher_and_the_images_scripts_pass_shellcheck() -> None:
    import subprocess

    scripts = [
        ROOT / "berth",
        *images.FOLDER.glob("*/build.sh"),
        *images.FOLDER.glob("lab_node/rootfs/usr/local/libexec/berth/*"),
    ]
    answer = subprocess.run(["shellcheck", *map(str, scripts)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout
