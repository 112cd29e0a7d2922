"""`berth cache purge`: remove a repository from a cache, so that the next pull goes to the upstream again.

What goes are distribution's links: tags, manifests, layers. The bytes they lead to may be another repository's too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from minio import Minio
from minio.deleteobjects import DeleteObject

from config import naming
from config.fields import common as v
from config.model.stack import Settings
from operations.errors import BerthError, UsageError

REMEMBERED = 5
"""Seconds for which a cache remembers that something is stored (`remembered` in images/registry/bounded_storage.go)."""

_TAG = re.compile(r"_manifests/tags/([^/]+)/")
_SHOWN = re.compile(r"_manifests/tags/([^/]+)/index/([^/]+/[^/]+)/link")
_REVISION = re.compile(r"_manifests/revisions/([^/]+/[^/]+)/link")
_LAYER = re.compile(r"_layers/([^/]+/[^/]+)/link")
_PARTS = "_manifests/tags/", "_manifests/revisions/", "_layers/"
"""Tags first: a purge that is interrupted leaves none that leads nowhere. Not uploads, which may be under way."""


@dataclass(frozen=True)
class Target:
    """What to take out."""

    path: str
    """As in image names, after the registry."""
    upstream: str
    """Name of the cache."""
    directory: str
    """The repository in the bucket."""
    tag: str | None = None

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.path}:{self.tag}" if self.tag else self.path


@dataclass(frozen=True)
class Purged:
    """What was taken out of one cache."""

    repository: str
    upstream: str
    tags: tuple[str, ...]
    manifests: int
    layers: int

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {**asdict(self), "effective_after_seconds": REMEMBERED}

    def __str__(self) -> str:
        return (
            f"{self.repository}: the cache {self.upstream} has lost {len(self.tags)} tags, {self.manifests} manifests "
            f"and {self.layers} layers of it. A pull asks the upstream again, in {REMEMBERED} s at the latest. The "
            "bytes stay in the object store, and what was pushed under this path stays as it is."
        )


def target(settings: Settings, repository: str, tag: str | None = None) -> Target:
    """The cached repository for `docker.io/library/x`, with the registry in front or not."""
    path = repository.removeprefix(f"{naming.endpoint(settings.registry.name, settings.registry.port)}/")
    if tag is not None and not re.fullmatch(v.TAG, tag):
        raise UsageError(f"{tag} is not a tag: use letters, digits and `. _ -`, such as 2026.1.")
    if not re.fullmatch(v.REPOSITORY, path):
        raise UsageError(f"{path} is not the path of a repository, such as docker.io/library/x; a tag goes to --tag.")
    for upstream in settings.registry.upstreams:
        beyond = path.removeprefix(f"{upstream.prefix}/")
        if beyond != path:
            cache = f"{naming.CACHE_DIRECTORY}/{upstream.name}".strip("/")
            return Target(path, upstream.name, f"{cache}/docker/registry/v2/repositories/{beyond}", tag)
    prefixes = ", ".join(upstream.prefix for upstream in settings.registry.upstreams)
    begins = f"begin with {prefixes}" if prefixes else "do not exist: registry.upstreams is empty"
    raise UsageError(
        f"{path} is not cached: cached repositories {begins}. To delete a pushed "
        "image, use the registry's API as a user with the role admin."
    )


def purge(store: Minio, bucket: str, target: Target) -> Purged:
    """Take it out; an error where nothing of it is cached."""
    keys = [key for part in _PARTS for key in _below(store, bucket, f"{target.directory}/", part)]
    if target.tag is not None:
        keys = _of_tag(keys, target.tag)
    if not keys:
        raise BerthError(f"{target.name} is not in the cache {target.upstream}: nothing was removed.")
    objects = (DeleteObject(f"{target.directory}/{key}") for key in keys)
    problems = [f"{problem.name}: {problem.message}" for problem in store.remove_objects(bucket, objects)]
    if problems:
        raise BerthError(f"{len(problems)} of {len(keys)} links of {target.name} are still there: {problems[0]}")
    return Purged(
        target.name,
        target.upstream,
        tuple(sorted(_found(_TAG, keys))),
        len(_found(_REVISION, keys)),
        len(_found(_LAYER, keys)),
    )


def _below(store: Minio, bucket: str, directory: str, part: str) -> Iterator[str]:
    """Keys of one part of a repository, seen from its directory; repositories inside of it are others."""
    for found in store.list_objects(bucket, prefix=directory + part, recursive=True):
        yield str(found.object_name).removeprefix(directory)


def _of_tag(keys: Iterable[str], tag: str) -> list[str]:
    """The tag, and the manifests that it has shown and no other tag has."""
    keys = list(keys)
    shown: dict[bool, set[str]] = {True: set(), False: set()}
    for key in keys:
        if match := _SHOWN.fullmatch(key):
            shown[match[1] == tag].add(match[2])
    own = shown[True] - shown[False]
    revisions = {f"_manifests/revisions/{digest}/link" for digest in own}
    return [key for key in keys if key.startswith(f"_manifests/tags/{tag}/") or key in revisions]


def _found(pattern: re.Pattern[str], keys: Iterable[str]) -> set[str]:
    return {match[1] for key in keys if (match := pattern.match(key))}
