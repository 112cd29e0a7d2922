"""Which steps a machine still needs, and that the preparation announces, asks, does and then needs nothing."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

import images
from operations.host import docker_engine, golang, plan, preflight, prepare, toolchain
from operations.host.prepare import BootstrapError
from tests.unit.operations.host.machine import Machine


def names(machine: Machine) -> list[str]:
    return [step.name for step in plan.needed(machine.home)]


def test_a_machine_that_is_ready_needs_nothing(machine: Machine) -> None:
    machine.lacks("go", "debootstrap")
    assert names(machine) == []


def test_a_bare_machine_needs_everything_in_an_order_that_works(machine: Machine) -> None:
    machine.lacks("docker", "dockerd", "ssh", "debootstrap", "go")
    steps = plan.needed(machine.home)
    assert [step.name for step in steps] == [
        *("packages", "docker", "go", "compile-registry", "compile-upstream", "compile-minio"),
        *("image-registry", "image-upstream", "image-minio"),
        *("base", "image-nginx", "image-lab-node", "seed"),
    ]
    for number, step in enumerate(steps):
        assert set(step.after) <= {before.name for before in steps[:number]}, "a step waits for those before it only"


def test_docker_that_is_installed_but_stopped_is_started(machine: Machine) -> None:
    machine.runs_docker("")
    assert names(machine)[0] == "docker"


@pytest.mark.parametrize(("known", "package"), [("exit 0", "docker-cli"), ("exit 100", "docker.io")])
def test_the_docker_client_is_a_package_of_its_own_where_there_is_one(
    machine: Machine, known: str, package: str
) -> None:
    machine.lacks("docker")
    machine.program("apt-cache", known)
    assert docker_engine.missing_packages() == [package]


def test_one_missing_image_builds_that_one_and_fills_the_storage(machine: Machine) -> None:
    machine.loses_image(images.reference("nginx"))
    assert names(machine) == ["image-nginx", "seed"]


def test_a_program_that_is_already_compiled_is_only_packed(machine: Machine) -> None:
    machine.loses_image(images.reference("minio"))
    assert names(machine) == ["compile-minio", "image-minio", "seed"]
    program = golang.program("minio", machine.home / "cache")
    program.parent.mkdir(parents=True)
    program.touch()
    assert names(machine) == ["image-minio", "seed"]


def test_an_empty_storage_is_filled_without_building(machine: Machine) -> None:
    (machine.home / "images.json").unlink()
    assert names(machine) == ["seed"]


def test_go_is_taken_from_the_package_index_only_where_none_is_new_enough(machine: Machine) -> None:
    machine.loses_image(images.reference("registry"))
    assert "go" not in names(machine)
    machine.program("go", "echo go1.19.8")
    assert "go" in names(machine)
    packaged = toolchain.packaged(machine.home / "cache") / "go" / "bin"
    packaged.mkdir(parents=True)
    machine.program("new", "echo go1.26.0")
    (machine.bin / "new").rename(packaged / "go")
    assert "go" not in names(machine)


@pytest.mark.parametrize(
    ("said", "enough"), [("go1.19.8", False), ("go1.26.0", True), ("go1.26", True), ("go1.27.3", True), ("", False)]
)
def test_a_go_older_than_the_pinned_minimum_is_not_used(machine: Machine, said: str, enough: bool) -> None:
    machine.program("go", f"echo {said}")
    assert toolchain.new_enough("go") is enough


def test_other_clients_are_installed_for_tests_only(machine: Machine) -> None:
    step = plan.needed(machine.home, tests=True)[0]
    assert step.title == "Install by apt: curl postgresql podman skopeo testssl.sh"
    for name in plan.TEST_PROGRAMS:
        machine.program(name)
    assert [step.name for step in plan.needed(machine.home, tests=True)] == ["node-tools"]


# The preparation as a whole


@pytest.fixture
def prepared(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine without an SSH client, whose size and user are no matter."""
    monkeypatch.setattr(preflight, "refuse", lambda checks: None)
    machine.lacks("ssh")
    return machine


def run(**options: bool) -> str:
    text = io.StringIO()
    prepare.run(console=Console(file=text, width=300), **{"yes": True, **options})
    return text.getvalue()


def test_what_is_installed_is_said_with_the_reason_and_then_nothing(prepared: Machine) -> None:
    said = run(yes=False)
    assert "  - Install by apt: openssh-client: nodes are reached by SSH only\n" in said
    assert "\nInstall by apt: openssh-client: done in " in said and "openssh-client" in prepared.apt()
    assert run() == "", "a machine that is ready"


def test_the_database_for_tests_starts_no_server_of_its_own(prepared: Machine) -> None:
    for name in set(plan.TEST_PROGRAMS) - {"pg_ctlcluster"}:
        prepared.program(name)
    prepared.has_image(plan.node_tools.reference())
    run(tests=True)
    assert prepared.apt().startswith("no server at the start\n") and "postgresql" in prepared.apt()


def test_no_at_a_terminal_installs_nothing(prepared: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(Console, "input", lambda *_: "n")
    with pytest.raises(BootstrapError, match="Nothing was installed"):
        run(yes=False)
    assert prepared.apt() == ""


def test_only_looking_refuses_where_something_is_missing(prepared: Machine) -> None:
    with pytest.raises(BootstrapError, match=r"not ready .*run `./berth up`"):
        run(only_check=True)
    assert prepared.apt() == ""
