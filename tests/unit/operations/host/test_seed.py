"""When the image lock and the seed storage are taken for current, and that nobody else decides what they hold."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

import images
from operations.host import docker_engine, image, seed
from operations.host.prepare import BootstrapError
from operations.host.shell import Shell
from tests.unit.operations.host.machine import Machine

CONFIG = b"{}"


@pytest.fixture
def home(machine: Machine) -> Path:
    """A run-time directory in which everything is current."""
    return machine.home


def test_nothing_is_stored_again_while_docker_storage_and_lock_agree(home: Path) -> None:
    assert seed.is_current(home)


def test_a_lost_lock_is_written_again(home: Path) -> None:
    (home / "images.json").unlink()
    assert not seed.is_current(home)


def test_a_damaged_lock_is_written_again(home: Path) -> None:
    (home / "images.json").write_text('{"lab-node":', encoding="utf-8")
    assert not seed.is_current(home)


def test_an_image_that_was_built_anew_is_stored_again(home: Path, machine: Machine) -> None:
    lock = json.loads((home / "images.json").read_text())
    lock["nginx"]["id"] = "sha256:other"
    (home / "images.json").write_text(json.dumps(lock))
    assert not seed.is_current(home)


def test_an_image_missing_in_docker_or_in_the_storage_is_stored_again(home: Path, machine: Machine) -> None:
    machine.loses_image(images.reference("lab-node"))
    assert not seed.is_current(home)
    machine.has_image(images.reference("lab-node"))
    assert seed.is_current(home)
    next((home / "seed").rglob("minio/**/link")).unlink()
    assert not seed.is_current(home)


def test_a_changed_recipe_makes_the_lock_stale(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "RECIPE", images.RECIPE + 1)
    images.input_hash.cache_clear()
    assert not seed.is_current(home)
    monkeypatch.undo()
    images.input_hash.cache_clear()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "logs" / "seed.log")


@pytest.fixture
def registry(tmp_path: Path, shell: Shell) -> Iterator[seed.Loopback]:
    """The registry that images are stored through, over an empty storage."""
    if not docker_engine.server_version():
        pytest.skip("Docker does not answer")
    reference = images.reference("registry")
    if subprocess.run(["docker", "image", "inspect", reference], capture_output=True, check=False).returncode:
        pytest.skip(f"{reference} is not built on this machine (./berth up builds it)")
    (tmp_path / "cache").mkdir()
    with seed._registry(tmp_path, shell) as running:
        yield running


@pytest.fixture
def small(tmp_path: Path) -> Iterator[str]:
    """The id of an image of a few bytes."""
    folder, reference = tmp_path / "small", f"berth-test/seed:{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    (folder / "built-by").write_text(uuid.uuid4().hex)
    image.import_folder(folder, reference, [], Shell(tmp_path / "import.log"))
    words = ["docker", "image", "inspect", "--format={{.Id}}", reference]
    yield subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run(["docker", "rmi", reference], capture_output=True, check=False)


def foreign_manifest() -> bytes:
    digest = f"sha256:{hashlib.sha256(CONFIG).hexdigest()}"
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(CONFIG)}
    return json.dumps({"schemaVersion": 2, "config": config, "layers": []}).encode()


def test_the_pin_is_the_digest_of_what_docker_sent(registry: seed.Loopback, small: str, shell: Shell) -> None:
    digest = seed.push("minio", small, registry, shell)
    value = digest.partition(":")[2]
    manifest = (registry.storage / "docker/registry/v2/blobs/sha256" / value[:2] / value / "data").read_bytes()
    assert hashlib.sha256(manifest).hexdigest() == value
    assert small in (digest, json.loads(manifest)["config"]["digest"])
    assert images.stored(registry.storage, "minio", digest)


def test_nobody_reads_or_writes_the_loopback_registry_without_its_password(
    registry: seed.Loopback, small: str, shell: Shell
) -> None:
    seed.push("minio", small, registry, shell)
    where = f"http://{registry.address}/v2/berth/minio"
    wrong = "Basic " + base64.b64encode(b"berth:wrong").decode()
    for headers in ({}, {"Authorization": wrong}):
        for method, path in (("GET", "/tags/list"), ("POST", "/blobs/uploads/"), ("PUT", "/manifests/x")):
            answer = urllib3.request(method, where + path, headers=headers, body=b"{}", retries=False)
            assert answer.status == 401
    files = [registry.login / "config.json", registry.login.parent / "htpasswd"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert registry.login.stat().st_mode & 0o777 == registry.login.parent.stat().st_mode & 0o777 == 0o700
    assert registry.password not in shell.log.read_text() + repr(registry)


def test_a_foreign_put_of_the_tag_while_filling_does_not_become_the_pin(
    registry: seed.Loopback, small: str, shell: Shell
) -> None:
    tag, over, answers = images.input_hash("minio"), threading.Event(), set[int]()
    url = f"http://{registry.address}/v2/berth/minio/manifests/{tag}"
    login = base64.b64encode(f"{seed.USER}:{registry.password}".encode()).decode()

    def attack(headers: dict[str, str]) -> None:
        headers["Content-Type"] = "application/vnd.oci.image.manifest.v1+json"
        while not over.wait(0.01):
            answers.add(urllib3.request("PUT", url, headers=headers, body=foreign_manifest(), retries=False).status)

    # The second one has even stolen the password, and has uploaded what its manifest names.
    known = {"Authorization": f"Basic {login}"}
    begun = urllib3.request("POST", url.partition("/manifests")[0] + "/blobs/uploads/", headers=known)
    where = f"{begun.headers['Location']}&digest=sha256:{hashlib.sha256(CONFIG).hexdigest()}"
    assert urllib3.request("PUT", where, headers=known, body=CONFIG).status == 201
    mallory = [threading.Thread(target=attack, args=(headers,)) for headers in ({}, dict(known))]
    for one in mallory:
        one.start()
    try:
        digests = {seed.push("minio", small, registry, shell) for _ in range(3)}
    finally:
        over.set()
        for one in mallory:
            one.join()
    assert len(digests) == 1 and answers == {201, 401}
    [digest] = digests
    assert digest != f"sha256:{hashlib.sha256(foreign_manifest()).hexdigest()}"
    assert images.stored(registry.storage, "minio", digest)


def test_an_image_that_ended_in_another_storage_is_refused(
    registry: seed.Loopback, small: str, shell: Shell, tmp_path: Path
) -> None:
    elsewhere = seed.Loopback(registry.address, tmp_path / "other", registry.login, registry.password)
    with pytest.raises(BootstrapError, match=r"is not the image minio that Docker has"):
        seed.push("minio", small, elsewhere, shell)


@pytest.mark.parametrize(("identity", "right"), [("config", True), ("manifest", True), ("other", False)])
def test_a_manifest_is_the_image_that_docker_names_either_way(identity: str, right: bool, tmp_path: Path) -> None:
    content = foreign_manifest()
    value = hashlib.sha256(content).hexdigest()
    file = tmp_path / "docker/registry/v2/blobs/sha256" / value[:2] / value / "data"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    known = {
        "config": f"sha256:{hashlib.sha256(CONFIG).hexdigest()}",
        "manifest": f"sha256:{value}",
        "other": "sha256:" + "cd" * 32,
    }[identity]
    assert seed._holds(tmp_path, f"sha256:{value}", known) is right
    file.write_bytes(content + b" ")
    assert not seed._holds(tmp_path, f"sha256:{value}", known), "a changed file is no manifest of that digest"
