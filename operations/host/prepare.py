"""First half of `berth up`: makes this machine ready to deploy, and does nothing where it is."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

import images
from config import paths
from operations import locks
from operations.host import docker_engine, image, plan, preflight, pulumi_cli, seed, steps, toolchain
from operations.host.errors import BootstrapError
from operations.host.preflight import Check, refuse_taken_ports

__all__ = ["BootstrapError", "Check", "checks", "clean", "refuse_taken_ports", "run"]

DOCKER_DATA = Path("/var/lib/docker")
CACHES = ("cache", "pulumi", "pulumi-home", "seed", "images.json", "dockerd.pid")


def run(yes: bool, console: Console, only_check: bool = False, tests: bool = False, pulumi: str = "") -> None:
    """Install, build and store what is missing; `only_check` refuses instead of changing anything.

    `pulumi` is the reason why Pulumi's CLI has to be built; empty if it has not.
    """
    preflight.refuse([preflight.system, preflight.root])
    home = paths.home()
    waiting = "Another run is preparing this machine; waiting for it."
    with locks.exclusive(home / "cache" / "lock", lambda: console.print(waiting)):
        todo = _needed(home, tests)
        if pulumi:
            todo += pulumi_cli.steps(home, pulumi, todo)
        version = docker_engine.server_version()
        if version:
            preflight.refuse([lambda: docker_engine.check(version)])
        if not todo:
            return
        preflight.refuse([preflight.memory, preflight.overlayfs])
        if any(step.name != "seed" for step in todo):
            preflight.refuse([lambda: preflight.disk([home, DOCKER_DATA])])
        if only_check:
            raise BootstrapError(
                "This machine is not ready (" + "; ".join(step.title for step in todo) + "): run `./berth up`."
            )
        _announce(todo, yes, console)
        begun = time.monotonic()
        steps.run(todo, console, home / "logs")
        preflight.refuse([lambda: docker_engine.check(docker_engine.server_version())])
        console.print(f"This machine is ready after {time.monotonic() - begun:.0f} s.", highlight=False)


def _needed(home: Path, tests: bool) -> list[steps.Step]:
    try:
        return plan.needed(home, tests)
    except images.SiteError as error:
        raise BootstrapError(str(error)) from error


def _announce(todo: list[steps.Step], yes: bool, console: Console) -> None:
    console.print("Needed on this machine before anything can be deployed:")
    for step in todo:
        console.print(f"  - {step.title}: {step.why}", markup=False, highlight=False, soft_wrap=True)
    if not yes and sys.stdin.isatty():
        answer = console.input("Go on? [Y/n] ")
        if answer.strip().lower() not in {"", "y", "yes"}:
            raise BootstrapError("Nothing was installed.")


def checks() -> list[Check]:
    """What `berth doctor` reports of this machine."""
    home = paths.home()
    go = toolchain.find(home / "cache")
    lock = seed.read_lock(home)
    try:
        current = bool(lock) and bool(docker_engine.server_version()) and seed.is_current(home)
        text, fix = "images are built and stored" if current else "images are not built", "`./berth up` builds them"
    except images.SiteError as error:
        current, text, fix = False, str(error), "correct that file"
    ready = Check("images", current, text, fix)
    return [
        preflight.system(),
        preflight.root(),
        preflight.memory(),
        preflight.overlayfs(),
        # The room is for building: nothing more is needed once that is done.
        *([] if current else [preflight.disk([home, DOCKER_DATA])]),
        docker_engine.check(docker_engine.server_version()),
        Check("ssh", bool(shutil.which("ssh")), "SSH client", "`./berth up` installs it"),
        Check(
            "go",
            bool(go) or current,
            f"Go: {go}"
            if go
            else "no Go here, and none needed while the images are built"
            if current
            else "no Go that is new enough",
            "`./berth up` brings one",
        ),
        ready,
    ]


def clean(console: Console | None = None) -> None:
    """Remove the images and caches; Docker itself and the virtual environment stay."""
    out = console or Console()
    home = paths.home()
    if docker_engine.server_version():
        listed = subprocess.run(
            ["docker", "images", "--quiet", "--no-trunc", "--filter", f"label={image.LABEL}"],
            capture_output=True,
            text=True,
            check=False,
        )
        for id_ in sorted(set(listed.stdout.split())):
            removed = subprocess.run(["docker", "rmi", "--force", id_], capture_output=True, text=True, check=False)
            if removed.returncode:
                raise BootstrapError(f"An image can't be removed (`./berth down` first): {removed.stderr.strip()}")
        out.print("Removed Berth's images.")
    for name in CACHES:
        path = home / name
        # A daemon that Berth started keeps running, and its number stays known.
        if name == "dockerd.pid" and docker_engine.server_version():
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    out.print("Removed caches and the seed's storage.")
