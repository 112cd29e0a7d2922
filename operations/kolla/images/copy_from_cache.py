"""An upstream's images out of a cache of the stack's own registry into its store, byte for byte."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from operations.errors import BerthError
from operations.host.steps import StepDisplay
from operations.kolla.images.published import Locked, Published, Target
from operations.registry import copy_images
from operations.registry.client import RegistryClient


@dataclass(frozen=True)
class PrefixedSource:
    """A place in the registry from which images are taken by the last part of their names."""

    store: RegistryClient
    place: str

    @property
    def stack(self) -> str:
        """Whose registry it is."""
        return self.store.stack

    def of(self, repository: str) -> str:
        """The repository here that has the same image."""
        return f"{self.place}/{repository.rpartition('/')[2]}"

    def read_blob(self, repository: str, digest: str) -> Generator[bytes]:
        """A blob of the image of that name."""
        try:
            yield from self.store.read_blob(self.of(repository), digest)
        except KeyError:
            raise BerthError(f"The upstream has lost {digest} of {self.of(repository)}: is it being pushed?") from None


def copy(target: Target, names: Sequence[str], place: str, tag: str, display: StepDisplay) -> Published:
    """Copy each image under `place` that the store does not have; nothing unless all of them are there."""
    store, origin = target.store, PrefixedSource(target.store.clone(), place)
    found = copy_images.each(lambda name: copy_images.read(store, f"{origin.of(name)}:{tag}"), names)
    missing = [f"    {origin.of(name)}:{tag}" for name, image in zip(names, found, strict=True) if image is None]
    if missing:
        raise BerthError(
            "\n".join(
                [
                    f"{len(missing)} of {len(names)} images are not at {target.end.registry}:",
                    *missing,
                    f"Check the tag {tag}, the namespace, and that a prefix of registry.upstreams is before it. "
                    "Nothing was pushed.",
                ]
            )
        )
    there = zip(names, filter(None, found), strict=True)
    images = {name: replace(image, name=target.name(name)) for name, image in there}
    # All at once: a layer that several have crosses the network once.
    lacking = copy_images.find_missing(store, list(images.values()))
    if lacking.anything:
        title = f"Copy {len(images)} images of {place}:{tag}, {lacking.bytes / 1e6:.0f} MB"
        with display.open(), display.step(title):
            copy_images.copy(store, lambda: origin, list(images.values()), lacking)
    locked = dict[str, Locked]()
    for name, image in images.items():
        if store.tagged(image.repository, image.tag) != image.digest:
            raise BerthError(f"{target.end.registry} accepted {image.name}, but does not have it now.")
        locked[name] = Locked(image.repository, image.tag, image.digest)
    new = [name for name, image in images.items() if image.name in lacking.tags]
    return Published(target.end.registry, locked, new)
