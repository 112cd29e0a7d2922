"""What `berth clean` takes away, and what it leaves."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from operations.host import docker_engine, prepare
from operations.host.prepare import BootstrapError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BERTH_HOME", str(tmp_path))
    for name in ("cache/go/pkg", "seed/docker", "venv/bin", "state", "logs"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "images.json").write_text("{}", encoding="utf-8")
    (tmp_path / "dockerd.pid").write_text("1\n", encoding="utf-8")
    return tmp_path


def left(home: Path) -> set[str]:
    return {path.name for path in home.iterdir()}


def test_images_are_found_by_their_label_and_removed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        return subprocess.CompletedProcess(command, 0, "sha256:b\nsha256:a\nsha256:b\n", "")

    monkeypatch.setattr(docker_engine, "server_version", lambda: "26.1.5")
    monkeypatch.setattr(subprocess, "run", run)
    prepare.clean(Console(quiet=True))
    assert "label=berth.image" in calls[0]
    assert calls[1:] == [["docker", "rmi", "--force", "sha256:a"], ["docker", "rmi", "--force", "sha256:b"]]


def test_caches_and_the_seeds_storage_go_and_environment_and_state_stay(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_engine, "server_version", lambda: "")
    prepare.clean(Console(quiet=True))
    assert left(home) == {"venv", "state", "logs"}


def test_a_daemon_that_runs_is_not_forgotten(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_engine, "server_version", lambda: "26.1.5")
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 0, "", ""))
    prepare.clean(Console(quiet=True))
    assert "dockerd.pid" in left(home)


def test_an_image_in_use_is_refused_with_the_way_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        failed = command[1] == "rmi"
        return subprocess.CompletedProcess(command, int(failed), "sha256:a\n", "conflict: container 12 is using it")

    monkeypatch.setattr(docker_engine, "server_version", lambda: "26.1.5")
    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(BootstrapError, match=r"`./berth down` first.*container 12"):
        prepare.clean(Console(quiet=True))
    assert "images.json" in left(home)
