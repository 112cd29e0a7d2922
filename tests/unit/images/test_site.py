"""What a site may set for the building of MinIO, and what it is told where that makes no sense."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

import images
from operations.host import seed
from operations.host.prepare import BootstrapError, checks, run

FORK = 'replace = "example.com/fork/minio"\nversion = "v1.2.3"\nreleased = 2026-09-16T08:00:00Z\n'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A run-time directory that the site has settings in."""
    monkeypatch.setenv("BERTH_HOME", str(tmp_path))
    images.input_hash.cache_clear()
    yield tmp_path
    images.input_hash.cache_clear()


def write(home: Path, text: str, table: str = "[minio]\n") -> None:
    (home / "images.toml").write_text(table + text, encoding="utf-8")
    images.input_hash.cache_clear()


def test_without_a_file_the_pins_of_the_repository_hold(home: Path) -> None:
    assert images.recipe("minio") == images.versions()["minio"]
    assert images.edited("minio") == images.FOLDER / "minio" / "edit"
    assert images.edited("nginx") is None


def test_a_fork_stands_in_for_the_module_and_says_its_own_date(home: Path) -> None:
    write(home, FORK)
    recipe = images.recipe("minio")
    assert (recipe["module"], recipe["package"]) == ("github.com/minio/minio", "github.com/minio/minio")
    assert (recipe["replace"], recipe["version"]) == ("example.com/fork/minio", "v1.2.3")
    assert recipe["source"] == "https://example.com/fork/minio"
    assert "-X github.com/minio/minio/cmd.Version=2026-09-16T08:00:00Z" in recipe["linker"]
    assert "-X github.com/minio/minio/cmd.CommitID=v1.2.3" in recipe["linker"]


def test_a_version_made_of_a_commit_says_its_date_itself(home: Path) -> None:
    write(home, 'version = "v0.0.0-20260918090807-0123456789ab"\n')
    said = images.recipe("minio")["linker"]
    assert "-X github.com/minio/minio/cmd.Version=2026-09-18T09:08:07Z" in said
    assert "-X github.com/minio/minio/cmd.ShortCommitID=0123456789ab" in said


def test_a_fork_gives_its_image_another_tag_and_no_other_image(home: Path) -> None:
    before = {name: images.input_hash(name) for name in images.NAMES}
    write(home, FORK)
    assert {name for name in images.NAMES if images.input_hash(name) != before[name]} == {"minio"}
    forked = images.input_hash("minio")
    write(home, FORK + 'edit = false\nreason = "Refused by the fork since v1.2.0."\n')
    assert images.input_hash("minio") not in (forked, before["minio"]), "an edit that is off is another program"


def test_the_edit_is_off_only_with_a_reason(home: Path) -> None:
    write(home, FORK + 'edit = false\nreason = "Refused by the fork since v1.2.0."\n')
    assert images.edited("minio") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = 1\n", "minio.version is no text"),
        ('versoin = "v1.2.3"\n', "minio.versoin is not known. Use module, replace, version"),
        ('version = "latest"\nreleased = 2026-09-16T08:00:00Z\n', "minio.version is no exact version"),
        ('replace = "../fork"\nversion = "v1.2.3"\n', "minio.replace is no module path"),
        ('replace = "example.com/fork@v1"\nversion = "v1.2.3"\n', "minio.replace is no module path"),
        ('replace = "example.com/fork"\n', "minio.version is missing"),
        ('version = "v1.2.3"\n', "minio.released is missing: v1.2.3 does not say its date"),
        ('version = "v1.2.3"\nreleased = 2026-09-16T08:00:00\n', "minio.released has no time zone"),
        ("released = 2026-09-16T08:00:00Z\n", "minio.released is set without a version"),
        (FORK + "edit = false\n", "minio.edit is off without a reason"),
        (FORK + 'edit = "no"\n', "minio.edit is no true or false"),
        ("version = \n", "can't be read"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(text: str, said: str, home: Path) -> None:
    write(home, text)
    with pytest.raises(images.SiteError, match=said.replace(".", r"\.")) as refused:
        images.recipe("minio")
    assert str(refused.value).startswith(str(home / "images.toml"))


def test_other_images_are_not_built_from_elsewhere(home: Path) -> None:
    write(home, FORK, "[nginx]\n")
    with pytest.raises(images.SiteError, match=r"\[nginx\] is not known"):
        images.recipe("minio")


def test_up_and_doctor_say_what_is_wrong_with_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, "version = 1\n")
    monkeypatch.setattr("operations.host.preflight.refuse", lambda checks: None)
    with pytest.raises(BootstrapError, match=r"minio\.version is no text"):
        run(yes=True, console=Console())
    monkeypatch.setattr(seed, "read_lock", lambda home: {"minio": {}})
    monkeypatch.setattr("operations.host.docker_engine.server_version", lambda: "26.1.5")
    found = next(check for check in checks() if check.name == "images")
    assert not found.ok and "minio.version is no text" in found.sentence
