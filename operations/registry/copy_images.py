"""Copies images between registries: find what is missing, copy it, check again."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Protocol, TypeVar

from operations.errors import BerthError
from operations.registry.client import ATTEMPTS, CONNECTIONS, INDEXES, MANIFESTS, Broken, Manifest, RegistryClient

T = TypeVar("T")
R = TypeVar("R")


class Source(Protocol):
    """Where blobs are read from."""

    @property
    def stack(self) -> str:
        """Whose it is."""

    def read_blob(self, repository: str, digest: str) -> Generator[bytes]:
        """A blob piece by piece; KeyError where there is none."""


Origin = Callable[[], Source]
"""Opens the source when something has to be copied from it."""


@dataclass(frozen=True)
class Image:
    """A tag and everything that is below it; parts of an index come before the index."""

    name: str
    """repository:tag"""
    manifests: tuple[Manifest, ...]
    blobs: Mapping[str, int]
    """Size by digest."""
    origin: str = ""
    """The repository of the source, where that has another name there."""

    @property
    def repository(self) -> str:
        return self.name.rpartition(":")[0]

    @property
    def tag(self) -> str:
        return self.name.rpartition(":")[2]

    @property
    def digest(self) -> str:
        return self.manifests[-1].digest


@dataclass
class Missing:
    """What the target lacks."""

    blobs: dict[str, dict[str, Image]] = field(default_factory=lambda: defaultdict(dict))
    """digest -> repository that lacks it -> an image that needs it"""
    homes: dict[str, str] = field(default_factory=dict)
    """digest -> a repository of the target that has it"""
    images: list[Image] = field(default_factory=list)
    """Images of which a manifest is missing."""
    tags: dict[str, str | None] = field(default_factory=dict)
    """repository:tag -> the other digest that it has there"""

    @property
    def anything(self) -> bool:
        return bool(self.blobs or self.images or self.tags)

    @property
    def bytes(self) -> int:
        """How much has to be moved: what a repository can be given out of another one is not."""
        return sum(
            next(iter(lacking.values())).blobs[digest]
            for digest, lacking in self.blobs.items()
            if digest not in self.homes
        )


def each(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """The work done on every item, as many at a time as there are connections; the first error ends it."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def names(store: RegistryClient, lister: RegistryClient | None, patterns: Sequence[str]) -> list[str]:
    """Every repository:tag in a store that a pattern matches; without patterns, every one.

    Patterns are shell's; one without a tag matches all tags. `lister` may read the catalog.
    """
    if patterns and not any(set(pattern) & set("*?[") for pattern in patterns):
        repositories = sorted({_parted(pattern)[0] for pattern in patterns})
    elif lister is not None:
        repositories = lister.catalog()
    else:
        raise BerthError(
            f"{store.stack} has no user with the role admin, who alone may list repositories: add one to "
            "berth:registry.users, or name each image (--image team/app:1)."
        )
    tags = dict(zip(repositories, each(store.tags, repositories), strict=True))
    found = sorted(f"{repository}:{tag}" for repository, known in tags.items() for tag in known)
    for pattern in patterns:
        if not any(_matches(name, pattern) for name in found):
            raise BerthError(f"{store.stack}'s registry has no image {pattern}.")
    return [name for name in found if not patterns or any(_matches(name, pattern) for pattern in patterns)]


def _parted(pattern: str) -> tuple[str, str]:
    repository, colon, tag = pattern.rpartition(":")
    return (repository, tag) if colon else (tag, "*")


def _matches(name: str, pattern: str) -> bool:
    repository, tag = _parted(pattern)
    return fnmatchcase(name.rpartition(":")[0], repository) and fnmatchcase(name.rpartition(":")[2], tag)


def read(store: RegistryClient, name: str, digest: str | None = None) -> Image | None:
    """An image by its tag, or by its digest, from a store; None where the store does not have it."""
    repository, _, tag = name.rpartition(":")
    top = store.manifest(repository, digest or tag)
    if top is None:
        return None
    manifests, blobs = list[Manifest](), dict[str, int]()
    for manifest in _below(store, repository, name, top):
        manifests.append(manifest)
        if manifest.type in MANIFESTS:
            blobs.update(_blobs(manifest.document))
    return Image(name, tuple({manifest.digest: manifest for manifest in manifests}.values()), blobs)


def _below(store: RegistryClient, repository: str, name: str, manifest: Manifest) -> Iterator[Manifest]:
    """The manifest and all below it, deepest first."""
    if manifest.type not in (*MANIFESTS, *INDEXES):
        raise BerthError(f"{name} in {store.stack}'s registry is of a type that can't be promoted: {manifest.type}.")
    for part in manifest.document.get("manifests", ()) if manifest.type in INDEXES else ():
        child = store.manifest(repository, str(part["digest"]))
        if child is None:
            raise BerthError(lost(store.stack, str(part["digest"]), name))
        yield from _below(store, repository, name, child)
    yield manifest


def _blobs(manifest: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for part in (manifest["config"], *manifest["layers"]):
        # Layers that may not be handed on are left where they are by every client.
        if not part.get("urls"):
            yield str(part["digest"]), int(part["size"])


def lost(stack: str, digest: str, name: str) -> str:
    """The message for content that a registry has lost."""
    return f"{stack}'s registry has lost {digest} of {name}: push the image there again, and run this command again."


def find_missing(target: RegistryClient, images: Sequence[Image]) -> Missing:
    """What the target lacks of these images, checked for every blob, manifest and tag."""
    missing = Missing()
    blobs = {(image.repository, digest): image for image in images for digest in image.blobs}
    there = each(lambda item: target.has_blob(*item[0], size=item[1].blobs[item[0][1]]), blobs.items())
    for ((repository, digest), image), found in zip(blobs.items(), there, strict=True):
        if found:
            missing.homes.setdefault(digest, repository)
        else:
            missing.blobs[digest][repository] = image
    whole = each(lambda i: all(target.has_manifest(i.repository, part) for part in i.manifests), images)
    missing.images = [image for image, found in zip(images, whole, strict=True) if not found]
    tags = each(lambda image: target.tagged(image.repository, image.tag), images)
    missing.tags = {image.name: tag for image, tag in zip(images, tags, strict=True) if tag != image.digest}
    return missing


def copy(target: RegistryClient, origin: Origin, images: Sequence[Image], missing: Missing) -> None:
    """Copy what is missing: all blobs, then all manifests, and only then the tags that clients use."""

    def blob(item: tuple[str, Mapping[str, Image]]) -> None:
        digest, lacking = item
        home = missing.homes.get(digest)
        for repository, image in lacking.items():
            # It is transferred once; the other repositories mount it from the one that has it.
            _copy_blob(target, origin, digest, image, home)
            home = repository

    def manifests(image: Image) -> None:
        for manifest in image.manifests:
            target.put_manifest(image.repository, manifest.digest, manifest)

    each(blob, missing.blobs.items())
    each(manifests, missing.images)
    each(
        lambda image: target.put_manifest(image.repository, image.tag, image.manifests[-1]),
        [image for image in images if image.name in missing.tags],
    )


def _copy_blob(target: RegistryClient, origin: Origin, digest: str, image: Image, home: str | None) -> None:
    for attempt in range(ATTEMPTS):
        try:
            if not (home and target.mount(image.repository, digest, home)):
                with closing(origin().read_blob(image.origin or image.repository, digest)) as pieces:
                    target.upload(image.repository, digest, image.blobs[digest], pieces)
            return
        except KeyError:
            raise BerthError(lost(origin().stack, digest, image.origin or image.name)) from None
        except Broken:
            # Health checks lag behind replica failures.
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(attempt)


def check(target: RegistryClient, images: Sequence[Image]) -> None:
    """Refuse to go on unless the target's store has all of it."""
    missing = find_missing(target, images)
    if missing.anything:
        gone = [*missing.blobs, *(image.digest for image in missing.images), *missing.tags]
        raise BerthError(
            f"After copying, {target.stack}'s registry still lacks {', '.join(sorted(gone)[:3])}"
            f"{' and more' if len(gone) > 3 else ''}: nothing was pinned; promote again."
        )
