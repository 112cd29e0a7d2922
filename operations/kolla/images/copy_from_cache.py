"""An upstream's images out of a cache of the stack's own registry into its store, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from operations.errors import BerthError
from operations.host.steps import StepDisplay
from operations.kolla.images.published import Locked, Published, Target
from operations.registry import copy_images


def copy(target: Target, names: Sequence[str], place: str, tag: str, display: StepDisplay) -> Published:
    """Copy each image under `place` that the store does not have; nothing unless all of them are there."""
    store, origin = target.store, target.store.clone()
    found = copy_images.each(lambda name: copy_images.read(store, f"{place}/{name}:{tag}"), names)
    missing = [f"    {place}/{name}:{tag}" for name, image in zip(names, found, strict=True) if image is None]
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
    images = {name: replace(image, name=target.name(name), origin=image.repository) for name, image in there}
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
