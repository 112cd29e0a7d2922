"""`berth kolla build` and `berth kolla copy`: the enabled services' images into registry and image lock."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

import config
from operations import bootstrap
from operations.bootstrap import mirrors, steps
from operations.bootstrap.debian import exists
from operations.bootstrap.shell import Shell
from operations.bootstrap.steps import Display, Step
from operations.deploy import Run
from operations.errors import BerthError, UsageError
from operations.kolla_images import builder, catalogue, ground, recipes
from operations.kolla_images.published import Published, Target, publish, write_lock
from operations.workspace import StackFile, Workspace

THREADS = 2
"""Images at a time: more only wait for each other, as package managers keep one core and the disk busy."""
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
"""In the images: Debian's authorities and this machine's own."""
MACHINE = Path("/run/lock/berth-kolla")
"""Checkouts share this machine's Docker, and the tag under which images start from each other."""
_LOADED = re.compile(r"^Loaded image: (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Wanted:
    """Which images, and what they are called in the registry."""

    images: Sequence[str]
    release: str
    namespace: str
    tag: str


@dataclass(frozen=True)
class Answer:
    """What came of a build or a copy."""

    images: Mapping[str, str]
    """Image -> its name on this machine's Docker."""
    built: Sequence[str] = ()
    """Images that were built now, parents included."""
    pushed: Published | None = None

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        locked = {name: asdict(image) for name, image in self.pushed.images.items()} if self.pushed else None
        return {"images": dict(self.images), "built": list(self.built), "locked": locked}

    def summary(self) -> str:
        """The command's last line."""
        if self.pushed is None:
            return f"{len(self.images)} images are on this machine; {len(self.built)} were built, parents included."
        return f"{self.pushed.registry} has {len(self.images)} images; {len(self.pushed.new)} were pushed."


def wanted(stack_file: StackFile, services: Sequence[str] | None = None) -> Wanted:
    """The images of these services, or of all that the settings enable."""
    kolla = config.parse(stack_file.stack, stack_file.document).kolla
    named = services or catalogue.enabled(kolla.has)
    return Wanted(catalogue.images_of(named), kolla.release, kolla.images.namespace, kolla.tag)


def build(run: Run, want: Wanted, fresh: bool = False, push: bool = True) -> Answer:
    """Build what has changed since it was built last (all of it if `fresh`, with today's packages), and push it."""
    # Whoever may not push learns it before anything is built.
    target = Target.open(run, want.namespace, want.tag) if push else None
    with bootstrap.alone(MACHINE, run.console):
        given = ground.settings(run.workspace.home / "cache")
        _prepare(run, given)
        order = plan(run.workspace, want, given, fresh)
        if order.stale:
            run.say(f"To build: {', '.join(name for name in order.names if name in order.stale)}.")
            logs = run.workspace.logs / "kolla-images"
            builder.build(_tools(run.workspace), order, given.environment, logs, Display(run.console))
    made = {name: builder.local(name, order.keys[name]) for name in want.images}
    return Answer(
        made, sorted(order.stale), _published(run.workspace, run.stack, run.console, target, made) if target else None
    )


def push_built(workspace: Workspace, stack: str, want: Wanted, target: Target, console: Console) -> Answer:
    """Push what was built and the registry lacks, and build nothing: for the program, while it deploys."""
    order = plan(workspace, want, ground.settings(workspace.home / "cache"))
    stale = [name for name in order.names if name in order.stale]
    if stale:
        raise BerthError(f"Images are not built: {', '.join(stale)}. Build them: ./berth kolla build --stack {stack}")
    made = {name: builder.local(name, order.keys[name]) for name in want.images}
    return Answer(made, (), _published(workspace, stack, console, target, made))


def plan(workspace: Workspace, want: Wanted, given: mirrors.BuildSettings, fresh: bool = False) -> builder.Order:
    """What of the wanted images is to be built."""
    settings = recipes.build_config(want.release, ground.reference(given), _pip_settings(), THREADS)
    shell = Shell(workspace.logs / "kolla-render.log")
    known = builder.rendered(_tools(workspace), settings, workspace.home / "cache", shell)
    keys = recipes.keys(known, recipes.sources(settings))
    names = recipes.with_parents(want.images, known)
    there = set() if fresh else builder.present({name: keys[name] for name in names})
    return builder.Order(names, keys, frozenset(names) - there, want.release, settings, fresh)


def _tools(workspace: Workspace) -> builder.Tools:
    return builder.Tools(workspace.home / "kolla-build-venv")


def _prepare(run: Run, given: mirrors.BuildSettings) -> None:
    todo = []
    tools = _tools(run.workspace)
    if not tools.ready:
        why = "it renders and builds Kolla's images"
        todo.append(Step("kolla-build", "Install kolla-build", why, tools.install))
    if not exists(ground.reference(given)):
        act = partial(ground.build, given=given, work=run.workspace.home / "cache" / "build")
        todo.append(Step("kolla-debian", "Make the Debian below Kolla's base image", "it knows the mirror", act))
    steps.run(todo, run.console, run.workspace.logs)


def _pip_settings() -> dict[str, str]:
    """Where this machine's pip takes packages from; whom it trusts is in the images already."""
    listed = subprocess.run(["python3", "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    lines = re.findall(r"^(?:global|install|:env:)\.([\w-]+)='(.*)'$", listed.stdout, re.MULTILINE)
    found = {"PIP_" + key.upper().replace("-", "_"): value for key, value in lines}
    given = {key: os.environ.get(key) or found.get(key) for key in recipes.PIP}
    return {**{key: value for key, value in given.items() if value}, "PIP_CERT": CERTIFICATES}


def copy(run: Run, want: Wanted, source: str) -> Answer:
    """Push images that were built elsewhere: from an archive, or pulled through a cache of the stack's own registry."""
    target = Target.open(run, want.namespace, want.tag)
    place, colon, tag = source.rpartition(":")
    if Path(source).is_file():
        found = _from_archive(run, want, Path(source))
    elif colon and "/" in place:
        found = _from_cache(run, want, target, place, tag)
    else:
        raise UsageError(
            f"{source} is neither an archive nor a place in the registry: name a file that `docker save` has written, "
            "or PREFIX/NAMESPACE:TAG, such as quay.io/openstack.kolla:2026.1-debian-trixie."
        )
    return Answer(found, (), _published(run.workspace, run.stack, run.console, target, found))


def _from_archive(run: Run, want: Wanted, archive: Path) -> dict[str, str]:
    with Display(run.console).step(f"Load {archive.name}"):
        loaded = _docker("load", "--quiet", f"--input={archive}")
    if loaded.returncode:
        raise BerthError(f"Docker can't read {archive}: {loaded.stderr.strip()}")
    references = _LOADED.findall(loaded.stdout)
    # Whatever registry and tag an image had where it was saved.
    by_name = {reference.rpartition("/")[2].partition(":")[0]: reference for reference in references}
    missing = [name for name in want.images if name not in by_name]
    if missing:
        raise BerthError(f"{archive} lacks the images {', '.join(missing)}: save all of them. Nothing was pushed.")
    return {name: by_name[name] for name in want.images}


def _from_cache(run: Run, want: Wanted, target: Target, place: str, tag: str) -> dict[str, str]:
    found = {name: f"{target.end.registry}/{place}/{name}:{tag}" for name in want.images}
    display = Display(run.console)
    with tempfile.TemporaryDirectory(prefix="berth-pull-") as folder, display.open():
        target.user.log_in(target.end.registry, Path(folder))
        for name, reference in found.items():
            with display.step(f"Pull {place}/{name}:{tag}"):
                pulled = _docker("--config", folder, "pull", "--quiet", reference)
                if pulled.returncode:
                    raise BerthError(f"{reference} can't be pulled: {pulled.stderr.strip()} Nothing was pushed.")
    return found


def _docker(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=False)


def _published(
    workspace: Workspace, stack: str, console: Console, target: Target, references: Mapping[str, str]
) -> Published:
    done = publish(target, references, Display(console))
    write_lock(workspace, stack, done.images)
    return done
