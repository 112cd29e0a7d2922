"""Images of this machine into a stack's registry, and what is there into the image lock."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from config import paths, stackfile
from operations.context import CommandContext
from operations.errors import BerthError
from operations.host.steps import StepDisplay
from operations.kolla.images.builder import tag
from operations.kolla.images.export import export
from operations.pulumi import documents
from operations.pulumi.session import Session
from operations.registry import copy_images
from operations.registry.client import RegistryClient
from operations.registry.endpoint import Endpoint, User, endpoint
from operations.workspace import write_private

NAME = "kolla-images"
"""Of the document that has the lock."""


@dataclass(frozen=True)
class Locked:
    """One image as nodes are to get it."""

    repository: str
    tag: str
    digest: str


@dataclass(frozen=True)
class Target:
    """A stack's registry with the user that may push, and the place in it where Kolla looks for images."""

    store: RegistryClient
    end: Endpoint
    user: User
    namespace: str
    tag: str

    @classmethod
    def open(cls, run: CommandContext, namespace: str, tag: str) -> Target:
        """Refuses where nobody may push, before anything is built."""
        session = Session.open(run.workspace, run.stack_file)
        outputs = session.outputs(show_secrets=True)
        end = endpoint(run.workspace, run.stack, outputs, show_secrets=True)
        user = end.users["push"]
        if user is None:
            raise BerthError(f"Nobody may push to {end.registry}: give a user of {run.stack} the role push.")
        return cls(
            RegistryClient(run.stack, end.registry, str(outputs["registry_ca"]), user), end, user, namespace, tag
        )

    def repository(self, image: str) -> str:
        """Where in the registry an image of Kolla's is."""
        return f"{self.namespace}/{image}"

    def name(self, image: str) -> str:
        """The same with its tag."""
        return f"{self.repository(image)}:{self.tag}"


@dataclass(frozen=True)
class Published:
    """What the registry has now."""

    registry: str
    images: Mapping[str, Locked]
    new: Sequence[str]
    """Images that it lacked."""


def publish(target: Target, references: Mapping[str, str], display: StepDisplay) -> Published:
    """Push each image (name -> reference on this machine) that the registry does not have under its tag."""
    store, registry = target.store, target.end.registry
    new = [name for name, reference in references.items() if not _there(target, name, image_id(reference))]
    if new:
        push = _push_by_docker if _kept_by_containerd() else _push_exported
        with display.open(), display.step(f"Push {', '.join(new)}"):
            push(target, {target.name(name): references[name] for name in new})
    found: dict[str, Locked] = {}
    for name in references:
        digest = store.tagged(target.repository(name), target.tag)
        if digest is None:
            raise BerthError(f"{registry} accepted {target.name(name)}, but does not have it now.")
        found[name] = Locked(target.repository(name), target.tag, digest)
    return Published(registry, found, new)


def image_id(reference: str) -> str:
    """What this machine's Docker knows the image by."""
    answer = subprocess.run(
        ["docker", "image", "inspect", "--format={{.Id}}", reference], capture_output=True, text=True, check=False
    )
    if answer.returncode:
        raise BerthError(f"Docker has no image {reference}: {answer.stderr.strip()}")
    return answer.stdout.strip()


def _there(target: Target, name: str, id_: str) -> bool:
    """Whether the tag is of this very image: Docker knows it by its configuration, or by its manifest."""
    manifest = target.store.manifest(target.repository(name), target.tag)
    return manifest is not None and id_ in (manifest.digest, manifest.document.get("config", {}).get("digest"))


def _kept_by_containerd() -> bool:
    """Whether Docker keeps images compressed and identifies them by their manifests, as newer ones do by default."""
    asked = subprocess.run(
        ["docker", "info", "--format={{json .DriverStatus}}"], capture_output=True, text=True, check=False
    )
    return "io.containerd.snapshotter" in asked.stdout


def _push_exported(target: Target, references: Mapping[str, str]) -> None:
    with export({name: image_id(reference) for name, reference in references.items()}) as source:
        copy_images.copy(
            target.store, lambda: source, source.images, copy_images.find_missing(target.store, source.images)
        )


def _push_by_docker(target: Target, references: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory(prefix="berth-push-") as folder:
        target.user.log_in(target.end.registry, Path(folder))
        for name, reference in references.items():
            _push(folder, reference, f"{target.end.registry}/{name}")


def _push(login: str, reference: str, name: str) -> None:
    tag(reference, name)
    try:
        pushed = subprocess.run(
            ["docker", "--config", login, "push", "--quiet", name], capture_output=True, text=True, check=False
        )
    finally:
        subprocess.run(["docker", "image", "rm", "--no-prune", name], capture_output=True, check=False)
    if pushed.returncode:
        raise BerthError(f"{name} can't be pushed: {pushed.stderr.strip()}")


@dataclass(frozen=True)
class Lock:
    """Kolla's images of a stack as its backend keeps them."""

    images: Mapping[str, Locked]
    """By Kolla's own name: what was pushed, or seen first."""
    imported: str = ""
    """A value other than at the last deployment means that somebody imported images that no node has yet."""


def read_lock(session: Session) -> Mapping[str, Locked]:
    """The image lock: name -> what was pushed, or seen first; empty where nothing was."""
    return _read(session).images


def write_lock(session: Session, images: Mapping[str, Locked], by_hand: bool = False) -> None:
    """Enter images; those of other tags or places go, as no node will pull them again.

    What is imported by hand, and not by an `up` on its way to nodes, is for the next `up` to deploy.
    """
    places = {(image.repository.rpartition("/")[0], image.tag) for image in images.values()}
    lock = _read(session)
    before, imported = lock.images, lock.imported
    kept = {name: image for name, image in before.items() if (image.repository.rpartition("/")[0], image.tag) in places}
    now = dict(sorted({**kept, **images}.items()))
    if by_hand and any(before.get(name) != image for name, image in images.items()):
        text = json.dumps({name: asdict(image) for name, image in now.items()})
        imported = hashlib.sha256(text.encode()).hexdigest()[:12]
    if (now, imported) != (lock.images, lock.imported):
        documents.write(session, NAME, asdict(Lock(now, imported)))
    _write_marker(session, imported)


def write_import_marker(session: Session) -> None:
    """Before a run of the program: write down which images were imported last, on any deploy host."""
    _write_marker(session, _read(session).imported)


def _write_marker(session: Session, imported: str) -> None:
    if imported:
        write_private(_marker_file(session), imported)


def _read(session: Session) -> Lock:
    kept = documents.read(session, NAME)
    try:
        return Lock({name: Locked(**entry) for name, entry in kept["images"].items()}, kept["imported"])
    except (TypeError, KeyError, AttributeError):
        return Lock({})


def _marker_file(session: Session) -> Path:
    return session.workspace.stack_dir(session.stack) / paths.kolla_brought_file(session.stack).name


def follow_other_hosts(run: CommandContext, session: Session) -> None:
    """Before a run of the program on a stack that the backend knows: what another deploy host may have done since."""
    if stackfile.parse(run.stack, run.stack_file.document).kolla.enabled:
        write_import_marker(session)
