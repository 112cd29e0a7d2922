"""`berth kolla build` and `berth kolla copy`: the enabled services' images into registry and image lock."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from config import stackfile
from operations import locks
from operations.context import CommandContext
from operations.errors import BerthError, UsageError
from operations.host import mirrors, steps
from operations.host.image import exists
from operations.host.shell import Shell
from operations.host.steps import Step, StepDisplay
from operations.kolla.images import archive, base_image, build_keys, builder, catalogue, copy_from_cache
from operations.kolla.images.published import Published, Target, publish, write_lock
from operations.pulumi.session import Session
from operations.workspace import StackFile, Workspace

THREADS = 2
"""Images at a time: more only wait for each other, as package managers keep one core and the disk busy."""
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
"""In the images: Debian's authorities and this machine's own."""
MACHINE = Path("/run/lock/berth-kolla/lock")
"""Checkouts share this machine's Docker, and the tag under which images start from each other."""
_RELEASE = re.compile(r":(20\d\d\.\d)(?!\d)[^/]*$")


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
    """Image -> its name on this machine's Docker, or in the registry's cache."""
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
    kolla = stackfile.parse(stack_file.stack, stack_file.document).kolla
    named = services or catalogue.enabled(kolla.has)
    return Wanted(catalogue.images_of(named), kolla.release, kolla.images.namespace, kolla.tag)


def build(run: CommandContext, want: Wanted, fresh: bool = False, push: bool = True) -> Answer:
    """Build what has changed since it was built last (all of it if `fresh`, with today's packages), and push it."""
    # Fail early if nobody may push.
    target = Target.open(run, want.namespace, want.tag) if push else None
    with locks.exclusive(
        MACHINE / "lock", lambda: run.log("Another run builds images on this machine; waiting for it.")
    ):
        given = base_image.settings(run.workspace.home / "cache")
        _prepare(run, given)
        order = plan(run.workspace, want, given, fresh)
        if order.stale:
            run.log(f"To build: {', '.join(name for name in order.names if name in order.stale)}.")
            logs = run.workspace.logs / "kolla-images"
            builder.build(_tools(run.workspace), order, given.environment, logs, StepDisplay(run.console))
    made = {name: builder.local(name, order.keys[name]) for name in want.images}
    return Answer(
        made,
        sorted(order.stale),
        _published(run, target, made, by_hand=True) if target else None,
    )


def push_built(run: CommandContext, want: Wanted, target: Target) -> Answer:
    """Push what was built and the registry lacks, and build nothing: for the program, while it deploys."""
    order = plan(run.workspace, want, base_image.settings(run.workspace.home / "cache"))
    stale = [name for name in order.names if name in order.stale]
    if stale:
        raise BerthError(
            f"Images are not built: {', '.join(stale)}. Build them: ./berth kolla build --stack {run.stack}"
        )
    made = {name: builder.local(name, order.keys[name]) for name in want.images}
    return Answer(made, (), _published(run, target, made))


def plan(workspace: Workspace, want: Wanted, given: mirrors.BuildSettings, fresh: bool = False) -> builder.Order:
    """What of the wanted images is to be built."""
    settings = build_keys.build_config(want.release, base_image.reference(given), _pip_settings(), THREADS)
    shell = Shell(workspace.logs / "kolla-render.log")
    known = builder.rendered(_tools(workspace), settings, workspace.home / "cache", shell)
    keys = build_keys.keys(known, build_keys.sources(settings))
    names = build_keys.with_parents(want.images, known)
    there = set() if fresh else builder.present({name: keys[name] for name in names})
    return builder.Order(names, keys, frozenset(names) - there, want.release, settings, fresh)


def _tools(workspace: Workspace) -> builder.Tools:
    return builder.Tools(workspace.home / "kolla-build-venv")


def _prepare(run: CommandContext, given: mirrors.BuildSettings) -> None:
    todo = []
    tools = _tools(run.workspace)
    if not tools.is_current:
        why = "it renders and builds Kolla's images"
        todo.append(Step("kolla-build", "Install kolla-build", why, tools.install))
    if not exists(base_image.reference(given)):
        act = partial(base_image.build, given=given, work=run.workspace.home / "cache" / "build")
        todo.append(Step("kolla-debian", "Make the Debian below Kolla's base image", "it knows the mirror", act))
    steps.run(todo, run.console, run.workspace.logs)


def _pip_settings() -> dict[str, str]:
    """Where this machine's pip takes packages from; whom it trusts is in the images already."""
    listed = subprocess.run(["python3", "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    lines = re.findall(r"^(?:global|install|:env:)\.([\w-]+)='(.*)'$", listed.stdout, re.MULTILINE)
    found = {"PIP_" + key.upper().replace("-", "_"): value for key, value in lines}
    given = {key: os.environ.get(key) or found.get(key) for key in build_keys.PIP}
    return {**{key: value for key, value in given.items() if value}, "PIP_CERT": CERTIFICATES}


def copy(run: CommandContext, want: Wanted, source: str) -> Answer:
    """Push images that were built elsewhere: from an archive, or through a cache of the stack's own registry."""
    place, colon, tag = source.rpartition(":")
    path, display = Path(source), StepDisplay(run.console)
    if not path.exists() and not (colon and "/" in place):
        raise UsageError(
            f"{source} is neither a file here nor a place in the registry: name an archive that `docker save` has "
            "written, a folder of some, or PREFIX/NAMESPACE:TAG, such as quay.io/openstack.kolla:2026.1-debian-trixie."
        )
    target = Target.open(run, want.namespace, want.tag)
    if path.exists():
        found = archive.load(path, want.images, want.tag, display)
        for reference in found.values():
            _insist_on_release(reference, want)
        return Answer(found, (), _published(run, target, found, by_hand=True))
    _insist_on_release(source, want)
    done = copy_from_cache.copy(target, want.images, place, tag, display)
    write_lock(Session.open(run.workspace, run.stack_file), done.images, by_hand=True)
    return Answer({name: f"{place}/{name}:{tag}" for name in want.images}, (), done)


def _insist_on_release(reference: str, want: Wanted) -> None:
    """Tags of Kolla's images begin with the release: another release's would be deployed silently."""
    found = _RELEASE.search(reference)
    if found and found[1] != want.release:
        raise UsageError(
            f"{reference} is of OpenStack {found[1]}, and the stack deploys {want.release} (berth:kolla.release): "
            f"bring images of {want.release}. Nothing was pushed."
        )


def _published(run: CommandContext, target: Target, references: Mapping[str, str], by_hand: bool = False) -> Published:
    done = publish(target, references, StepDisplay(run.console))
    write_lock(Session.open(run.workspace, run.stack_file), done.images, by_hand)
    return done
