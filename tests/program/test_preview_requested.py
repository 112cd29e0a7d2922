"""A preview of somebody else's tree with a stack's state: its settings count, and nothing of it runs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.program.checkout import Checkout, Ended

CANARY = "canary-of-the-deploy-host"


class World:
    """A deployed stack on the default branch, and what somebody asks for."""

    def __init__(self, checkout: Checkout, folder: Path) -> None:
        self.checkout, self.folder = checkout, folder
        shutil.copytree(checkout.root, folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        self.stack_file = folder / checkout.stack_file.name

    def ask(self, change: Callable[[dict[str, Any]], object]) -> None:
        document = yaml.safe_load(self.stack_file.read_text())
        change(document)
        self.stack_file.write_text(yaml.safe_dump(document, sort_keys=False))

    def preview(self, form: str = "--markdown") -> Ended:
        return self.checkout.berth("preview", "--requested", str(self.folder), form)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, cli: Path) -> Checkout:
    checkout = Checkout(tmp_path_factory.mktemp("deployed"), cli)
    (checkout.home / "key").write_text("the nodes' key\n")
    (checkout.home / "other").write_text(f"{CANARY}\n")
    nodes = [{**node, "ssh": {**node["ssh"], "keyFile": f"{checkout.home}/key"}} for node in checkout.settings("nodes")]
    checkout.change(nodes=nodes)
    checkout.pulumi("stack", "init")
    checkout.pulumi("up", "--yes", "--skip-preview")
    return checkout


@pytest.fixture
def world(deployed: Checkout, tmp_path: Path) -> World:
    return World(deployed, tmp_path / "requested")


def config_of(document: dict[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = document["config"]
    return config


def state(checkout: Checkout) -> dict[str, bytes]:
    paths = [*checkout.root.glob("Pulumi.*"), *(checkout.home / "state").rglob("*")]
    return {str(path): path.read_bytes() for path in paths if path.is_file()}


def test_a_requests_settings_are_seen_and_nothing_of_it_stays(world: World) -> None:
    # One letter beyond the basic plane, and a word that an older YAML takes for a truth value.
    wanted = {"max-size": "7m", "tag": "\U0001f6a2", "env": "yes"}
    world.ask(lambda document: config_of(document)["berth:docker"].update(logOptions=wanted))
    before = state(world.checkout)
    ended = world.preview()
    assert ended.code == 0, ended.out + ended.err
    assert "Docker restarts (log-opts)" in ended.out and '"max-size": "7m"' in ended.out
    assert "> The settings are the request's, the program is this checkout's" in ended.out
    assert "<!-- berth labels: docker-restarts -->" in ended.out
    assert state(world.checkout) == before


def test_a_requests_pins_are_seen_and_are_no_code(world: World) -> None:
    image = f"r.example.com/nginx@sha256:{'1' * 64}"
    world.checkout.pin(world.folder, nginx=image)
    ended = world.preview("--diff")
    assert ended.code == 0, ended.out + ended.err
    assert image in ended.out and "Not seen" not in ended.out
    assert not (world.checkout.root / "pins").exists()


def test_pins_of_a_request_that_are_no_plain_file_are_refused(world: World) -> None:
    pins = world.folder / "pins"
    pins.symlink_to(world.checkout.home)
    refused(world.preview(), "pins of the request is a link")
    pins.unlink()
    pins.mkdir()
    (pins / "prod.yaml").symlink_to(world.checkout.home / "other")
    refused(world.preview(), "pins/prod.yaml of the request is no plain file")
    (pins / "prod.yaml").unlink()
    world.checkout.pin(world.folder, nginx="latest")
    refused(world.preview(), "berth:pins.images.nginx", "by digest")


def test_code_of_the_request_is_named_and_never_run(world: World) -> None:
    trap = f"import pathlib; pathlib.Path({str(world.folder / 'ran')!r}).write_text('x')\n"
    for name in ("__main__.py", "operations/cli.py", "config/__init__.py", "sitecustomize.py", "plugins/host.py"):
        (world.folder / name).write_text(trap)
    (world.folder / "Pulumi.yaml").write_text(
        "name: berth\nruntime: {name: nodejs}\nplugins: {providers: [{path: .}]}\n"
    )
    (world.folder / "components" / "`rm`<img src=x>").write_text("")
    (world.folder / "docs").mkdir()
    (world.folder / "docs" / "new.md").write_text("prose\n")
    (world.folder / "link").symlink_to(world.checkout.home / "other")
    ended = world.preview()
    assert ended.code == 0, ended.out + ended.err
    assert not (world.folder / "ran").exists()
    head = ended.out.split("**")[0]
    for name in ("Pulumi.yaml", "__main__.py", "link", "operations/cli.py", "plugins/host.py", "sitecustomize.py"):
        assert f"`{name}`" in head
    assert "(a name with other characters)" in head and "<img" not in ended.out and "new.md" not in ended.out
    assert "by hand" in head and "<!-- berth labels: preview-by-hand -->" in ended.out
    assert CANARY not in ended.out + ended.err


def refused(ended: Ended, *words: str) -> None:
    assert (ended.code, ended.out) == (2, ""), ended.out
    assert all(word in ended.err for word in words), ended.err
    assert CANARY not in ended.err and "Traceback" not in ended.err


def test_a_deploy_hosts_file_is_read_if_the_default_branch_names_it(world: World) -> None:
    other = str(world.checkout.home / "other")

    def change(document: dict[str, Any]) -> None:
        config_of(document)["berth:nodes"][0]["ssh"]["keyFile"] = other

    world.ask(change)
    refused(world.preview(), "has another path on the deploy host", other, "by hand")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda document: document.update(secretsprovider="awskms://key?region=x"), "another secretsprovider"),
        (lambda document: document.update(encryptionsalt="v1:AAAAAAAAAAA=:v1:AAAA:AAAA"), "another encryptionsalt"),
        (lambda document: document.pop("encryptionsalt"), "another encryptionsalt"),
        (lambda document: document["config"].update({"pulumi:disable-default-providers": ["*"]}), "another pulumi:"),
        (lambda document: document["config"].update({"docker:host": "ssh://x"}), "docker:host"),
        (lambda document: document["config"].update({"berth:lab": True}), "lab"),
        (lambda document: document["config"].update({"berth:kolla": {"overrides": "../x"}}), "overrides"),
    ],
)
def test_what_decides_about_secrets_and_pulumi_is_never_a_requests(
    world: World, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    world.ask(change)
    refused(world.preview(), words)


def test_a_stack_file_that_is_no_plain_file_or_too_much_is_refused(world: World) -> None:
    world.stack_file.unlink()
    refused(world.preview(), "The request has no Pulumi.prod.yaml")
    world.stack_file.symlink_to(world.checkout.home / "other")
    refused(world.preview(), "Pulumi.prod.yaml of the request is no plain file")
    world.stack_file.unlink()
    os.mkfifo(world.stack_file)
    refused(world.preview(), "no plain file")
    world.stack_file.unlink()
    world.stack_file.write_text("a: &a [x]\n" + "# much\n" * 50_000)
    refused(world.preview(), "longer than 262144 bytes")
    multiplied = "".join(f"  - &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    world.stack_file.write_text(f"config:\n  berth:nodes:\n  - &a0 [x]\n{multiplied}")
    refused(world.preview(), "is larger than 4 MiB, perhaps because aliases multiply")


def test_a_stack_without_state_and_other_options_beside_it_are_refused(world: World, tmp_path: Path, cli: Path) -> None:
    refused(world.preview("--offline"), "--requested needs the stack's state")
    new = Checkout(tmp_path, cli)
    ended = new.berth("preview", "--requested", str(world.folder))
    assert ended.code == 1 and "prod is not deployed here" in ended.err
    assert not (new.home / "state").exists()


def test_a_secret_that_the_request_brings_is_not_shown(world: World, cli: Path) -> None:
    """It was encrypted by somebody who has the passphrase: only its place is the request's."""
    place = world.folder.parent / "author"
    place.mkdir()
    author = Checkout(place, cli)
    shutil.copytree(world.checkout.home / "state", author.home / "state")
    shutil.copy(world.checkout.stack_file, author.stack_file)
    author.pulumi("config", "set", "--secret", "--path", "berth:secrets.upstreams.quay", text=CANARY)
    secrets = author.settings("secrets")

    def change(document: dict[str, Any]) -> None:
        config_of(document)["berth:secrets"] = secrets
        config_of(document)["berth:registry"]["upstreams"][1]["user"] = "robot"

    world.ask(change)
    ended = world.preview("--json")
    assert ended.code == 0, ended.out + ended.err
    assert "cache-quay" in ended.out and CANARY not in ended.out + ended.err
    assert json.loads(ended.out)["berth"]["incomplete"].startswith("The settings are the request's")
