"""What nginx's scripts do on a node: take over, refuse, undo; a replica out of the pool and in again."""

from __future__ import annotations

import dataclasses
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.lib.host_files.bundle import Directive, Directory, Entry, File
from components.lib.host_files.bundle import render as bundle
from components.lib.host_files.shell import as_root, stage_script
from components.load_balancer import render
from components.load_balancer.component import NGINX_SCRIPTS
from components.load_balancer.pool import TEXT
from config import naming
from tests.front.certificates import self_signed
from tests.front.fake import Answer
from tests.front.world import NAME, Behind, World, config_of, entries_of, nginx, page_of

REPLICAS = ("127.0.0.4", "127.0.0.5")
CONTAINER = "berth-load-balancer"


class Node:
    """A node's scripts on a directory and a container of this test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.container = "none-yet"
        self.stack = f"front-{uuid.uuid4().hex[:8]}"

    def apply(self, entries: list[Entry], verb: str = "apply") -> subprocess.CompletedProcess[str]:
        text = stage_script(*NGINX_SCRIPTS)
        return self._run(as_root(text, verb, self.stack, render.STAGE), bundle([self._here(one) for one in entries]))

    def pool(self, verb: str, address: str) -> subprocess.CompletedProcess[str]:
        words = str(naming.REGISTRY_REPLICA_PORT), naming.replica_name(NAME), render.status_url()
        return self._run(as_root(TEXT, verb, address, *words), "")

    def _run(self, command: str, stdin: str) -> subprocess.CompletedProcess[str]:
        command = command.replace(render.DIRECTORY, str(self.directory)).replace(CONTAINER, self.container)
        return subprocess.run(
            ["sh", "-c", command], input=stdin, text=True, capture_output=True, check=False, timeout=90
        )

    def _here(self, entry: Entry) -> Entry:
        if isinstance(entry, File | Directory):
            return dataclasses.replace(entry, path=entry.path.replace(render.DIRECTORY, str(self.directory)))
        if isinstance(entry, Directive) and entry.word == "container":
            return dataclasses.replace(entry, values=[self.container])
        return entry


@pytest.fixture(scope="module")
def behind(status_port: int, directory: Path) -> Iterator[Behind]:
    with pytest.MonkeyPatch.context() as patch:
        fakes = directory / "fakes"
        fakes.mkdir()
        made = Behind(fakes)
        first = made.distribution(REPLICAS[0])
        patch.setattr(naming, "REGISTRY_REPLICA_PORT", first[0].port)
        made.distribution(*REPLICAS[1:], port=first[0].port)
        made.drives("127.0.0.2")
        for one in made.fakes:
            one.answer = lambda asked: Answer(404 if "berth/ready" in asked.path else 200)
        yield made
        made.close()


@pytest.fixture(scope="module")
def entries(behind: Behind) -> list[Entry]:
    return entries_of(config_of(REPLICAS, {}, behind.fakes[-1:]), behind.authority, self_signed("mirror"))


@pytest.fixture(scope="module")
def node(behind: Behind, entries: list[Entry], directory: Path) -> Iterator[Node]:
    made = Node(directory / "node")
    done = made.apply(entries)
    assert done.returncode == 0, done.stderr
    with nginx(made.directory) as made.container:
        yield made
        done = made.apply([], "remove")
        assert (done.returncode, made.directory.exists()) == (0, False), done.stderr


def converged(node: Node) -> tuple[int, str]:
    """What nginx says is in force; after a reload an old worker may answer once more."""
    generation = (node.directory / "generation.conf").read_text().split('"')[3]
    deadline = time.monotonic() + 10
    while (found := page_of("config")) != (200, generation) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def with_text(entries: list[Entry], old: str, new: str) -> list[Entry]:
    return [
        dataclasses.replace(one, content=one.content.replace(old, new))
        if isinstance(one, File) and one.path.endswith("nginx.conf")
        else one
        for one in entries
    ]


def files(node: Node) -> dict[str, str]:
    return {str(path): path.read_text() for path in node.directory.rglob("*") if path.is_file()}


def test_a_second_run_changes_nothing_and_nginx_is_left_alone(node: Node, entries: list[Entry]) -> None:
    before = converged(node)
    assert node.apply(entries).stdout == "nothing to change\n"
    assert converged(node) == before


def test_a_change_is_in_force_when_the_run_ends(node: Node, entries: list[Entry]) -> None:
    before = converged(node)
    done = node.apply(with_text(entries, "client_body_timeout 300s", "client_body_timeout 301s"))
    assert (done.returncode, "nginx: new configuration" in done.stdout) == (0, True), done.stderr
    assert page_of("config") != before
    assert node.apply(entries).returncode == 0


def test_what_nginx_refuses_is_undone_and_the_error_says_why(node: Node, entries: list[Entry]) -> None:
    before = files(node), converged(node)
    done = node.apply(with_text(entries, "client_body_timeout 300s", "client_body_timeout never"))
    assert done.returncode != 0
    assert "the old one stays in force" in done.stderr
    assert '"client_body_timeout" directive invalid value' in done.stderr
    assert (files(node), converged(node)) == before


def test_a_reload_that_does_not_come_off_is_undone_too(node: Node, entries: list[Entry]) -> None:
    before = files(node), converged(node)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = node.apply(with_text(entries, "listen 127.0.0.1:", f"listen 127.0.0.1:{port}; listen 127.0.0.1:"))
    assert done.returncode != 0
    assert "it goes on with the old configuration" in done.stderr
    assert (files(node), converged(node)) == before


def test_an_nginx_that_cannot_be_entered_is_said_and_the_change_undone(
    node: Node, entries: list[Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(node), converged(node)
    (tmp_path / "docker").write_text(
        "#!/bin/sh\n"
        '[ "$1" != exec ] || { echo "OCI runtime exec failed: no such file or directory" >&2; exit 126; }\n'
        f'exec {shutil.which("docker")} "$@"\n'
    )
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    done = node.apply(with_text(entries, "client_body_timeout 300s", "client_body_timeout 302s"))
    assert done.returncode != 0
    assert f"nothing can be executed in {node.container}" in done.stderr
    assert "OCI runtime exec failed" in done.stderr
    assert (files(node), converged(node)) == before


def asked(world: Behind) -> list[int]:
    return [len(one.asked) for one in world.fakes[:2]]


def test_taking_a_replica_out_and_putting_it_back_can_be_repeated(
    node: Node, behind: Behind, entries: list[Entry]
) -> None:
    for _ in range(2):
        done = node.pool("out", REPLICAS[0])
        assert done.returncode == 0, done.stderr
    assert done.stdout == "nothing to change\n"
    for one in behind.fakes:
        one.asked.clear()
    assert [page_of("backends")[0] for _ in range(4)] == [200] * 4
    assert asked(behind) == [0, 4]
    assert node.apply(with_text(entries, "300s;", "302s;")).returncode == 0
    page_of("backends")
    assert asked(behind) == [0, 5], "a change of other settings does not put it back"
    assert node.pool("in", REPLICAS[0]).returncode == 0
    for _ in range(4):
        page_of("backends")
    first, _ = asked(behind)
    assert first >= 3
    assert behind.fakes[0].asked[0].path == "/v2/berth/ready/manifests/none"
    assert node.apply(entries).returncode == 0


def test_a_replica_that_has_no_storage_yet_is_waited_for(node: Node, behind: Behind) -> None:
    node.pool("out", REPLICAS[1])
    answers = iter([503, 500, 404])
    behind.fakes[1].reset(lambda asked: Answer(next(answers, 404)))
    done = node.pool("in", REPLICAS[1])
    assert (done.returncode, len(behind.fakes[1].asked)) == (0, 3), done.stderr


def test_a_replica_that_leaves_the_settings_leaves_the_pool(node: Node, behind: Behind, entries: list[Entry]) -> None:
    gone = [one for one in entries if not (isinstance(one, Directive) and REPLICAS[1] in one.values)]
    assert node.apply(gone).returncode == 0
    for one in behind.fakes:
        one.reset(lambda asked: Answer(404 if "berth/ready" in asked.path else 200))
    for _ in range(3):
        page_of("backends")
    assert asked(behind) == [3, 0]
    assert node.apply(entries).returncode == 0
    assert sorted(path.name for path in (node.directory / "pool").iterdir()) == [f"{one}.conf" for one in REPLICAS]


def test_nginx_is_waited_for(node: Node) -> None:
    World.wait(lambda: page_of("alive")[0] == 200)
