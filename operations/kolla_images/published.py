"""Images of this machine into a stack's registry, and what is there into the image lock."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from config import naming
from operations.bootstrap.steps import Display
from operations.deploy import Run
from operations.endpoint import Endpoint, User, endpoint
from operations.errors import BerthError
from operations.kolla_images.builder import tag
from operations.kolla_images.packed import packed
from operations.promote import content
from operations.promote.store import Store
from operations.pulumi.session import Session
from operations.workspace import Workspace, write_private


@dataclass(frozen=True)
class Locked:
    """One image as nodes are to get it."""

    repository: str
    tag: str
    digest: str


@dataclass(frozen=True)
class Target:
    """A stack's registry with the user that may push, and the place in it where Kolla looks for images."""

    store: Store
    end: Endpoint
    user: User
    namespace: str
    tag: str

    @classmethod
    def open(cls, run: Run, namespace: str, tag: str) -> Target:
        """Refuses where nobody may push, before anything is built."""
        session = Session.open(run.workspace, run.stack_file)
        outputs = session.outputs(show_secrets=True)
        end = endpoint(run.workspace, run.stack, outputs, show_secrets=True)
        user = end.users["push"]
        if user is None:
            raise BerthError(f"Nobody may push to {end.registry}: give a user of {run.stack} the role push.")
        return cls(Store(run.stack, end, str(outputs["registry_ca"]), user), end, user, namespace, tag)

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


def publish(target: Target, references: Mapping[str, str], display: Display) -> Published:
    """Push each image (name -> reference on this machine) that the registry does not have under its tag."""
    store, registry = target.store, target.end.registry
    new = [name for name, reference in references.items() if not _there(target, name, image_id(reference))]
    if new:
        push = _push_by_docker if _kept_by_containerd() else _push_packed
        with display.open(), display.step(f"Push {', '.join(new)}"):
            push(target, {target.name(name): references[name] for name in new})
    found: dict[str, Locked] = {}
    for name in references:
        digest = store.tagged(target.repository(name), target.tag)
        if digest is None:
            raise BerthError(f"{registry} took {target.name(name)}, and does not have it now.")
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
    """Whether Docker has images packed already, and knows them by their manifests: newer ones by default."""
    asked = subprocess.run(
        ["docker", "info", "--format={{json .DriverStatus}}"], capture_output=True, text=True, check=False
    )
    return "io.containerd.snapshotter" in asked.stdout


def _push_packed(target: Target, references: Mapping[str, str]) -> None:
    with packed({name: image_id(reference) for name, reference in references.items()}) as source:
        content.move(target.store, lambda: source, source.images, content.look(target.store, source.images))


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


def lock_file(workspace: Workspace, stack: str) -> Path:
    """Where the digests of a stack's Kolla images are kept."""
    return workspace.stack_dir(stack) / "kolla-images.json"


def read_lock(workspace: Workspace, stack: str) -> dict[str, Locked]:
    """The image lock: name -> what was pushed, or seen first; empty where nothing was."""
    try:
        document = json.loads(lock_file(workspace, stack).read_text(encoding="utf-8"))
    except OSError:
        return {}
    return {name: Locked(**entry) for name, entry in document.items()}


def write_lock(workspace: Workspace, stack: str, images: Mapping[str, Locked], by_hand: bool = False) -> None:
    """Enter images; those of other tags or places go, as no node will pull them again.

    What is brought by hand, and not by an `up` on its way to nodes, is for the next `up` to deploy.
    """
    places = {(image.repository.rpartition("/")[0], image.tag) for image in images.values()}
    before = read_lock(workspace, stack)
    kept = {name: image for name, image in before.items() if (image.repository.rpartition("/")[0], image.tag) in places}
    entries = {name: asdict(image) for name, image in sorted({**kept, **images}.items())}
    text = json.dumps(entries, indent=2) + "\n"
    if by_hand and any(before.get(name) != image for name, image in images.items()):
        brought = workspace.stack_dir(stack) / naming.kolla_brought_file(stack).name
        write_private(brought, hashlib.sha256(text.encode()).hexdigest()[:12])
    write_private(lock_file(workspace, stack), text)
