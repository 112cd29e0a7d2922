"""Which image a service runs: the settings' own, a promoted one, or the one that was built here last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pulumi

import images as recipes
from config import naming, paths
from config.model.images import ImageSettings, PinnedImages, PinSettings
from config.model.stack import Settings
from config.problems import Problem, SettingsError

Lock = Mapping[str, Mapping[str, str]]

FIELDS = {field.alias or name: name for name, field in PinnedImages.model_fields.items()}
"""The field of each service's image, by the service's name as stack files have it."""


def read_lock(path: Path) -> Lock:
    """The image lock that bootstrap wrote; empty where nothing was built yet."""
    if not path.is_file():
        return {}
    lock: Lock = json.loads(path.read_text(encoding="utf-8"))
    return lock


@dataclass(frozen=True)
class Images:
    """Image references of this stack."""

    lock: Lock
    pinned: Mapping[str, str]
    """Whole references, from the settings or from pins, by service."""
    seed: str
    """host:port of the seed registry, as nodes reach it."""
    promoted: Mapping[str, str] = field(default_factory=dict)
    """Digests from pins that the seed registry serves, by service."""

    @classmethod
    def of(cls, settings: Settings) -> Images:
        """The stack's images: named ones, then promoted ones, the others from this machine's image lock."""
        named = named_images(settings)
        lock, seed = read_lock(paths.image_lock()), settings.images.seed
        promoted = {name: digest for name, digest in named.items() if "@" not in digest}
        # A preview on a machine that has built nothing knows what will run all the same.
        if settings.pins and (lock or not pulumi.runtime.is_dry_run()):
            _refuse_missing(settings.stack, settings.pins, promoted)
        return cls(
            lock=lock,
            pinned={name: reference for name, reference in named.items() if name not in promoted},
            seed=naming.endpoint(seed.address, seed.port),
            promoted=promoted,
        )

    def on_nodes(self, name: str) -> str:
        """The reference that nodes pull: by digest, as soon as the image was built."""
        if name in self.pinned:
            return self.pinned[name]
        built = recipes.SAME_IMAGE.get(name, name)
        entry = None if name in self.promoted else self._entry(built, name)
        digest = self.promoted.get(name) or (entry and entry["digest"])
        return f"{self.seed}/berth/{built}@{digest}" if digest else f"{self.seed}/berth/{built}:not-built-yet"

    def is_own(self, name: str) -> bool:
        """Whether the service's image is one that Berth built, which has a program for health checks."""
        return name not in self.pinned

    def on_deploy_host(self, name: str) -> str:
        """The name under which the deploy host's own Docker has the image."""
        entry = self._entry(name, name)
        return entry["reference"] if entry else f"berth/{name}:not-built-yet"

    def pins(self) -> dict[str, str]:
        """What every service runs, as another stack can pin it: a digest of the seed registry, or a whole reference."""
        built = {name: self.lock.get(recipes.SAME_IMAGE.get(name, name), {}).get("digest") for name in FIELDS}
        known = {name: digest for name, digest in built.items() if digest}
        return {**known, **self.promoted, **self.pinned}

    def recipes(self) -> dict[str, str]:
        """Of every service whose image was built here last: twelve hex digits over what that is made from."""
        named = {**self.promoted, **self.pinned}
        built = {name: self.lock.get(recipes.SAME_IMAGE.get(name, name)) for name in FIELDS if name not in named}
        return {name: entry["reference"].rpartition(":")[2] for name, entry in built.items() if entry}

    def _entry(self, built: str, name: str) -> Mapping[str, str] | None:
        entry = self.lock.get(built)
        if entry is None and not pulumi.runtime.is_dry_run():
            problem = Problem(
                f"berth:images.{name}",
                "The image is not pinned here and was not built on this machine.",
                "Run ./berth up, which builds it, or name a digest-pinned image.",
            )
            raise SettingsError(pulumi.get_stack(), [problem])
        return entry


def named_images(settings: Settings) -> dict[str, str]:
    """What settings and pins name, by service: whole references, or digests that the seed registry serves."""
    pins = settings.pins.images if settings.pins else PinnedImages()
    return {**_present(pins), **_present(settings.images)}


def _present(images: PinnedImages | ImageSettings) -> dict[str, str]:
    """The services' images that are named there."""
    return {name: value for name, own in FIELDS.items() if (value := getattr(images, own))}


def _refuse_missing(stack: str, pins: PinSettings, promoted: Mapping[str, str]) -> None:
    """Before anything is touched: the seed registry must have what it is to serve."""
    commit = pins.source.commit.partition("-")[0][:12]
    there = f"check out {commit} and run ./berth up there" if commit else f"deploy {pins.source.stack} from here"
    problems = [
        Problem(
            f"berth:pins.images.{name}",
            f"was promoted from {pins.source.stack} and is not in the seed registry's storage on this machine.",
            f"Build it here ({there} once), or promote again what this machine has.",
            digest,
        )
        for name, digest in promoted.items()
        if not recipes.stored(paths.seed_storage(), name, digest)
    ]
    if problems:
        raise SettingsError(stack, problems)
