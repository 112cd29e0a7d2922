"""Images as Docker has them after `docker import`."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import images
from operations.host import docker_engine, golang, image
from operations.host.shell import Shell


@pytest.fixture
def references(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Names of a test's own in the place of Berth's."""
    if not docker_engine.server_version():
        pytest.skip("Docker does not answer")
    tag = uuid.uuid4().hex[:8]
    monkeypatch.setattr(images, "reference", lambda name: f"berth-test/{name}:{tag}")
    yield
    names = [f"berth-test/{name}:{tag}" for name in images.NAMES]
    subprocess.run(["docker", "rmi", "--force", *names], capture_output=True, check=False)


def pack(name: str, folder: Path) -> dict[str, Any]:
    """The image of a program that was compiled before, as Docker describes it."""
    cache, own = folder / "cache", os.umask(0o077)
    try:
        for path in (golang.program(name, cache), golang.health(name, cache)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("a program\n")
            path.chmod(0o700)
        golang.pack(name, Shell(folder / "log"), cache, folder / "work")
    finally:
        os.umask(own)
    asked = ["docker", "image", "inspect", images.reference(name)]
    (found,) = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
    return dict(found)


def files(name: str, folder: Path) -> dict[str, tarfile.TarInfo]:
    made = subprocess.run(["docker", "create", images.reference(name)], capture_output=True, text=True, check=True)
    container = made.stdout.strip()
    try:
        subprocess.run(["docker", "export", f"--output={folder / 'files.tar'}", container], check=True)
    finally:
        subprocess.run(["docker", "rm", container], capture_output=True, check=True)
    with tarfile.open(folder / "files.tar") as tar:
        return {member.name.rstrip("/"): member for member in tar}


def test_a_programs_image_is_run_as_its_recipe_says(references: None, tmp_path: Path) -> None:
    config = pack("registry", tmp_path)["Config"]
    assert (config["Entrypoint"], config["Cmd"]) == (["/bin/registry"], ["serve", "/etc/distribution/config.yml"])
    assert config["User"] == "65532:65532"
    labels = config["Labels"]
    assert labels["berth.image"] == "registry" and labels["org.opencontainers.image.title"] == "Registry (distribution)"
    assert labels["org.opencontainers.image.version"] == images.recipe("registry")["version"]


def test_everybody_reads_its_files_and_writes_to_tmp_only(references: None, tmp_path: Path) -> None:
    pack("registry", tmp_path)
    found = files("registry", tmp_path)
    assert {member.uid for member in found.values()} == {0}
    modes = {path: found[path].mode & 0o7777 for path in ("bin/registry", "bin/health", "etc/passwd", "etc/ssl", "tmp")}
    assert modes == {
        "bin/registry": 0o755,
        "bin/health": 0o755,
        "etc/passwd": 0o644,
        "etc/ssl": 0o755,
        "tmp": 0o1777,
    }


def test_the_same_program_is_the_same_layer(references: None, tmp_path: Path) -> None:
    first, second = (pack("upstream", tmp_path)["RootFS"]["Layers"] for _ in range(2))
    assert first == second


def test_the_image_of_a_changed_program_holds_the_change(references: None, tmp_path: Path) -> None:
    pack("minio", tmp_path)
    assert {"usr/share/doc/minio/signature_check.go", "usr/share/doc/minio/edit.toml"} <= files(
        "minio", tmp_path
    ).keys()
    pack("registry", tmp_path)
    assert "usr" not in files("registry", tmp_path)


def test_an_image_that_docker_does_not_have_is_not_there(references: None) -> None:
    assert not image.exists(images.reference("nginx"))
