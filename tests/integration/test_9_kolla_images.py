"""Kolla's images for real: rendered by kolla-build, built from Debian's packages, and only once; copied."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from rich.console import Console

import images
from operations.context import CommandContext
from operations.host.shell import Shell
from operations.kolla.images import build_keys, builder
from operations.kolla.images.published import Target, read_lock
from operations.kolla.images.run import Wanted, build, copy, wanted
from operations.pulumi.session import Session
from operations.registry.client import RegistryClient
from operations.registry.endpoint import Endpoint, User
from operations.workspace import StackFile, Workspace
from tests.front.certificates import Authority
from tests.front.world import free_ports, image_is_here
from tests.integration.lab import run
from tests.integration.registry import digest_of

WORKSPACE = Workspace.current()
STACK = StackFile.read(WORKSPACE, "kolla")
ELSEWHERE = re.compile(r"https?://|\bgpg --keyserver|ansible-galaxy|\bgit clone|build-date")
"""Fetching from other places than a mirror of Debian or PyPI, and what makes each day's image another one."""


def want(*names: str) -> Wanted:
    return Wanted(names, "2026.1", "kolla", "2026.1")


def kolla_build(folder: Path) -> builder.Tools:
    """kolla-build's environment, shared by all tests; its log in `folder`."""
    tools = builder.Tools(WORKSPACE.home / "kolla-build-venv")
    if not tools.is_current:
        tools.install(Shell(folder / "log"))
    return tools


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of Kolla's templates with the overrides; kolla-build's environment stays for later runs."""
    folder = tmp_path_factory.mktemp("kolla")
    tools, shell = kolla_build(folder), Shell(folder / "log")
    config = folder / "kolla-build.conf"
    config.write_text(build_keys.build_config("2026.1", "berth/kolla/debian:0", {}, 2), encoding="utf-8")
    shell.run(tools.command(config, "--template-only", f"--work-dir={folder}"))
    return folder / "docker"


def test_images_of_the_lab_are_made_of_debian_and_pypi_alone(rendered: Path) -> None:
    known = build_keys.read(rendered)
    names = build_keys.with_parents(wanted(STACK).images, known)
    assert {"base", "openstack-base", "keystone-base"} < set(names)
    # Comments, repositories that are written disabled, and the address of a maintainer.
    harmless = re.compile(r"^\s*#|Enabled: no|maintainer=")
    for path in rendered.rglob("Dockerfile"):
        lines = path.read_text(encoding="utf-8").splitlines() if path.parent.name in names else []
        assert [line for line in lines if ELSEWHERE.search(line) and not harmless.search(line)] == [], path


def test_every_service_that_the_table_promises_has_its_images_templates(rendered: Path) -> None:
    from operations.kolla.images import catalogue

    assert build_keys.with_parents(catalogue.images_of(catalogue.buildable()), build_keys.read(rendered))


# Copies of tiny images, into a real registry

DOCKER = pytest.mark.skipif("BERTH_NO_LAB" in os.environ, reason="needs Docker")
CONFIG = """\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: /tmp/registry}}}}
auth: {{htpasswd: {{realm: test, path: /files/users}}}}
http: {{addr: "127.0.0.1:{port}", relativeurls: true, tls: {{certificate: /files/tls.crt, key: /files/tls.key}}}}
"""
NAMES = ("cron", "etcd")
OCI = "application/vnd.oci.image"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Berth's registry in a container of its own, with a login and a certificate."""
    image, folder, [port] = images.reference("registry"), tmp_path_factory.mktemp("registry"), free_ports(1)
    if not image_is_here(image):
        pytest.skip(f"{image} is not built here: ./berth up builds it")
    authority = Authority()
    issued = authority.issue("127.0.0.1")
    users = f"writer:{bcrypt.hashpw(b'password', bcrypt.gensalt(4)).decode()}\n"
    texts = {"tls.crt": issued.certificate, "tls.key": issued.key, "users": users}
    for name, text in {**texts, "config.yml": CONFIG.format(port=port)}.items():
        (folder / name).write_text(text, encoding="utf-8")
    process = ["docker", "run", "--detach", "--rm", "--network=host", "--user=0", "--env=OTEL_TRACES_EXPORTER=none"]
    started = run([*process, f"--volume={folder}:/files:ro", image, "serve", "/files/config.yml"])
    assert started.returncode == 0, started.stderr
    user = User("writer", "password")
    end = Endpoint(f"127.0.0.1:{port}", "", {"push": user})
    try:
        # Asks again until it answers.
        store = RegistryClient("kolla", end.registry, authority.certificate, user)
        assert store.tags("none") == []
        yield Target(store, end, user, "kolla", "2026.1")
    finally:
        run(["docker", "stop", "--time=1", started.stdout.strip()])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An archive of two images as `docker save` writes it."""
    folder = tmp_path_factory.mktemp("saved")
    names = [f"quay.io/openstack.kolla.test/{name}:2026.1-debian-trixie" for name in NAMES]
    for name in names:
        with tarfile.open(folder / "layer.tar", "w") as tar:
            tar.add(__file__, name.rpartition("/")[2])
        assert run(["docker", "import", str(folder / "layer.tar"), name]).returncode == 0
    assert run(["docker", "save", f"--output={folder / 'kolla.tar'}", *names]).returncode == 0
    yield folder / "kolla.tar"
    run(["docker", "image", "rm", *names])


def parts(saved: Path) -> dict[str, tuple[bytes, bytes]]:
    """Configuration and layer of each image in an archive of Docker's."""
    with tarfile.open(saved) as tar:

        def read(name: str) -> bytes:
            file = tar.extractfile(name)
            assert file
            return file.read()

        listed = json.loads(read("manifest.json"))
        return {name: (read(one["Config"]), read(one["Layers"][0])) for one in listed for name in one["RepoTags"]}


def as_oci(saved: Path, folder: Path) -> Path:
    """A folder with an OCI archive of each image: one has its name inside, the other only its file's."""
    for name, (config, layer) in parts(saved).items():
        blobs: dict[str, bytes] = {}

        def blob(content: bytes, kind: str, blobs: dict[str, bytes] = blobs) -> dict[str, Any]:
            digest = digest_of(content)
            blobs[f"blobs/{digest.replace(':', '/')}"] = content
            return {"mediaType": f"{OCI}.{kind}", "digest": digest, "size": len(content)}

        described = {"config": blob(config, "config.v1+json")}
        described |= {"layers": [blob(gzip.compress(layer), "layer.v1.tar+gzip")]}
        entry = blob(json.dumps({"schemaVersion": 2, **described}).encode(), "manifest.v1+json")
        if "etcd" in name:
            entry["annotations"] = {"org.opencontainers.image.ref.name": name}
        index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
        file = folder / ("some.tar" if "etcd" in name else "cron.tar")
        with tarfile.open(file, "w") as tar:
            for member, content in {"oci-layout": b"{}", **blobs, "index.json": index}.items():
                added = tarfile.TarInfo(member)
                added.size = len(content)
                tar.addfile(added, io.BytesIO(content))
    return folder


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A stack whose state has nothing but Kolla's image lock."""
    made = Session.open(Workspace(WORKSPACE.root, tmp_path), STACK)
    made.ensure_stack()
    return made


@DOCKER
@pytest.mark.parametrize("kind", ["docker", "gzip", "oci"])
def test_an_archive_arrives_in_the_registry_whatever_wrote_it(
    target: Target, saved: Path, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    target = replace(target, namespace=kind)
    monkeypatch.setattr(Target, "open", lambda *_: target)
    brought, ids = (
        saved,
        {name.rpartition("/")[2].partition(":")[0]: digest_of(c) for name, (c, _) in parts(saved).items()},
    )
    if kind == "gzip":
        brought = tmp_path / "kolla.tar.gz"
        brought.write_bytes(gzip.compress(saved.read_bytes()))
    elif kind == "oci":
        # Docker has to take them from the archive.
        run(["docker", "image", "rm", *parts(saved)])
        brought = as_oci(saved, tmp_path)
    done = copy(CommandContext(session.workspace, STACK, Console()), want(*NAMES), str(brought))
    assert done.pushed and sorted(done.pushed.new) == sorted(NAMES)
    for name in NAMES:
        manifest = target.store.manifest(f"{kind}/{name}", "2026.1")
        assert manifest and manifest.document["config"]["digest"] == ids[name]
        assert read_lock(session)[name].digest == manifest.digest


@DOCKER
def test_what_is_below_a_prefix_arrives_with_its_digests(
    target: Target, saved: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = CommandContext(session.workspace, STACK, Console())
    monkeypatch.setattr(Target, "open", lambda *_: replace(target, namespace="quay.io/kolla", tag="2026.1-x"))
    brought = copy(asked, want(*NAMES), str(saved)).pushed
    monkeypatch.setattr(Target, "open", lambda *_: target)
    copied = copy(asked, want(*NAMES), "quay.io/kolla:2026.1-x").pushed
    assert brought and copied and list(copied.new) == list(NAMES)
    assert {name: image.digest for name, image in copied.images.items()} == {
        name: image.digest for name, image in brought.images.items()
    }


@pytest.mark.full
@DOCKER
def test_base_and_cron_are_built_with_a_key_and_not_built_again() -> None:
    asked = CommandContext(WORKSPACE, STACK, Console())
    first = build(asked, want("cron"), fresh=True, push=False)
    assert list(first.built) == ["base", "cron"]
    inside = run(
        ["docker", "run", "--rm", "--entrypoint=sh", first.images["cron"], "-c", "command -v cron kolla_start"]
    )
    assert inside.returncode == 0, inside.stdout + inside.stderr
    started = time.monotonic()
    again = build(asked, want("cron"), push=False)
    assert (list(again.built), again.images) == ([], first.images)
    assert time.monotonic() - started < 10
