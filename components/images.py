"""Which image a service runs: the settings' own, or the one that bootstrap built and the seed registry serves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi

from config import Problem, Settings, SettingsError, naming

Lock = Mapping[str, Mapping[str, str]]

# Services that run a program out of another's image, unless the settings name one of their own.
SAME_IMAGE = {"cache": "registry", "keepalived": "nginx"}


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
    """References from the settings, by image name."""
    seed: str
    """host:port of the seed registry, as nodes reach it."""

    @classmethod
    def of(cls, settings: Settings) -> Images:
        """The stack's images: pinned ones from the settings, the others from this machine's image lock."""
        pinned = {name: getattr(settings.images, name) for name in ("registry", "minio", "nginx", *SAME_IMAGE)}
        seed = settings.images.seed
        return cls(
            lock=read_lock(naming.image_lock()),
            pinned={name: reference for name, reference in pinned.items() if reference},
            seed=naming.endpoint(seed.address, seed.port),
        )

    def on_nodes(self, name: str) -> str:
        """The reference that nodes pull: by digest, as soon as the image was built."""
        if name in self.pinned:
            return self.pinned[name]
        built = SAME_IMAGE.get(name, name)
        entry = self._entry(built)
        return f"{self.seed}/berth/{built}@{entry['digest']}" if entry else f"{self.seed}/berth/{built}:not-built-yet"

    def on_deploy_host(self, name: str) -> str:
        """The name under which the deploy host's own Docker has the image."""
        entry = self._entry(name)
        return entry["reference"] if entry else f"berth/{name}:not-built-yet"

    def digests(self) -> dict[str, str]:
        """Digest of every service image, by name; what a later stage or stack can pin."""
        found = {name: entry["digest"] for name, entry in self.lock.items() if "digest" in entry}
        return {**found, **{name: reference.partition("@")[2] for name, reference in self.pinned.items()}}

    def _entry(self, name: str) -> Mapping[str, str] | None:
        entry = self.lock.get(name)
        if entry is None and not pulumi.runtime.is_dry_run():
            problem = Problem(
                f"berth:images.{name}",
                "The image is not pinned here and was not built on this machine.",
                "Run ./berth up, which builds it, or name a digest-pinned image.",
            )
            raise SettingsError(pulumi.get_stack(), [problem])
        return entry
