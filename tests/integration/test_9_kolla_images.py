"""Kolla's images for real: rendered by kolla-build, built from Debian's packages, and only once."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from rich.console import Console

from operations.bootstrap.shell import Shell
from operations.deploy import Run
from operations.kolla_images import builder, recipes
from operations.kolla_images.run import Wanted, build, wanted
from operations.workspace import StackFile, Workspace
from tests.integration.lab import run

WORKSPACE = Workspace.current()
STACK = StackFile.read(WORKSPACE, "kolla")
ELSEWHERE = re.compile(r"https?://|\bgpg --keyserver|ansible-galaxy|\bgit clone|build-date")
"""Fetching from other places than a mirror of Debian or PyPI, and what makes each day's image another one."""


def kolla_build(folder: Path) -> builder.Tools:
    """kolla-build's environment, shared by all tests; its log in `folder`."""
    tools = builder.Tools(WORKSPACE.home / "kolla-build-venv")
    if not tools.ready:
        tools.install(Shell(folder / "log"))
    return tools


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of Kolla's templates with the overrides; kolla-build's environment stays for later runs."""
    folder = tmp_path_factory.mktemp("kolla")
    tools, shell = kolla_build(folder), Shell(folder / "log")
    config = folder / "kolla-build.conf"
    config.write_text(recipes.build_config("2026.1", "berth/kolla/debian:0", {}, 2), encoding="utf-8")
    shell.run(tools.command(config, "--template-only", f"--work-dir={folder}"))
    return folder / "docker"


def test_images_of_the_lab_are_made_of_debian_and_pypi_alone(rendered: Path) -> None:
    known = recipes.read(rendered)
    names = recipes.with_parents(wanted(STACK).images, known)
    assert {"base", "openstack-base", "keystone-base"} < set(names)
    # Comments, repositories that are written disabled, and the address of a maintainer.
    harmless = re.compile(r"^\s*#|Enabled: no|maintainer=")
    for path in rendered.rglob("Dockerfile"):
        lines = path.read_text(encoding="utf-8").splitlines() if path.parent.name in names else []
        assert [line for line in lines if ELSEWHERE.search(line) and not harmless.search(line)] == [], path


def test_every_service_that_the_table_promises_has_its_images_templates(rendered: Path) -> None:
    from operations.kolla_images import catalogue

    assert recipes.with_parents(catalogue.images_of(catalogue.buildable()), recipes.read(rendered))


@pytest.mark.full
@pytest.mark.skipif("BERTH_NO_LAB" in os.environ, reason="needs Docker")
def test_base_and_cron_are_built_with_a_key_and_not_built_again() -> None:
    asked, want = Run(WORKSPACE, STACK, Console()), Wanted(("cron",), "2026.1", "kolla", "2026.1")
    first = build(asked, want, fresh=True, push=False)
    assert list(first.built) == ["base", "cron"]
    inside = run(
        ["docker", "run", "--rm", "--entrypoint=sh", first.images["cron"], "-c", "command -v cron kolla_start"]
    )
    assert inside.returncode == 0, inside.stdout + inside.stderr
    started = time.monotonic()
    again = build(asked, want, push=False)
    assert (list(again.built), again.images) == ([], first.images)
    assert time.monotonic() - started < 10
