"""One nginx for each module, and a fresh view of it for each test."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.lib.host_files.bundle import Entry, File
from components.load_balancer import render
from config import naming
from tests.front.certificates import self_signed
from tests.front.fake import Answer, Asked, Frozen
from tests.front.world import IMAGE, Behind, World, config_of, entries_of, free_ports, image_is_here, nginx


@pytest.fixture(scope="session")
def image() -> None:
    """Berth's nginx on this machine."""
    if os.geteuid() != 0 or not image_is_here():
        pytest.skip(f"{IMAGE} is not built here, or this user may not use it: ./berth up builds it")


@pytest.fixture(scope="module")
def status_port(image: None) -> Iterator[int]:
    """The status page on a free port, for a node may be at work on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        [port] = free_ports(1)
        patch.setattr(naming, "FRONT_STATUS_PORT", port)
        yield port


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where nginx's files are; its workers must be able to look in."""
    found = tmp_path_factory.mktemp("front")
    found.chmod(0o755)
    return found


@pytest.fixture(scope="module")
def world(status_port: int, directory: Path) -> Iterator[World]:
    """nginx with two replicas, two caches of two upstreams each, and two MinIO servers."""
    behind = Behind(directory)
    replicas = behind.distribution("127.0.0.1", "127.0.0.1")
    caches = {name: behind.distribution("127.0.0.1", "127.0.0.1") for name in ("hub", "quay")}
    drives = behind.drives("127.0.0.2", "127.0.0.3")
    config = config_of(["127.0.0.1"], caches, drives)
    mirror, outsider = self_signed("mirror"), behind.authority.issue("outsider", client=True)
    for name, issued in (("mirror", mirror), ("outsider", outsider)):
        (directory / f"{name}.pem").write_text(issued.certificate + issued.key)
    install(directory, entries_of(config, behind.authority, mirror))
    contexts = [ssl.create_default_context(cafile=str(behind.ca)) for _ in range(2)]
    for context in contexts:
        context.check_hostname = False
    contexts[1].load_cert_chain(directory / "mirror.pem")
    made = World(config, directory, replicas, caches, drives, Frozen(), *contexts)
    made.usual_pool()
    try:
        with nginx(directory) as made.container:
            yield made
    finally:
        made.frozen.close()
        behind.close()


def install(directory: Path, entries: list[Entry]) -> None:
    """The bundle's files, as the script on a node would put them."""
    for name in ("users", "pool"):
        (directory / name).mkdir()
    (directory / "generation.conf").write_text('map "" $generation { default "first"; }\n')
    for entry in entries:
        if isinstance(entry, File):
            path = directory / entry.path.removeprefix(f"{render.DIRECTORY}/")
            path.write_text(entry.content if path.name != "nginx.conf" else sooner(entry.content))
            path.chmod(0o644)


def sooner(conf: str) -> str:
    """The same with limits that a test reaches in a moment."""
    for old, new in {
        "addresses 512;": "addresses 40;",
        "client_header_timeout 10s;": "client_header_timeout 1s;",
    }.items():
        assert old in conf
        conf = conf.replace(old, new)
    return conf


@pytest.fixture
def front(world: World) -> Iterator[World]:
    """The replicas hold nothing but answer GET /v2/, and nobody was asked anything yet."""

    def empty(asked: Asked) -> Answer:
        return Answer(200, b"{}") if asked.path == "/v2/" else Answer(404, b'{"errors":[]}')

    caches = (one for several in world.caches.values() for one in several)
    for one in [*world.replicas, *caches, *world.drives]:
        one.reset(empty)
    yield world
