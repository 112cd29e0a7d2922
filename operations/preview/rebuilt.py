"""Images that this machine rebuilt from the recipes of the running ones: a second deploy host, or a lost lock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from components.lib.image_references import Images, Lock, named_images
from config.model.stack import Settings


def notices(outputs: Mapping[str, Any], settings: Settings, lock: Lock) -> Iterator[str]:
    """A sentence with the services whose image has another digest here than in the stack's outputs."""
    recipes, running = outputs.get("image_recipes") or {}, outputs.get("images") or {}
    here = Images(lock, {}, "")
    digests, named = here.pins(), named_images(settings)
    anew = [
        service
        for service, recipe in here.recipes().items()
        if service not in named and recipes.get(service) == recipe and running.get(service) != digests.get(service)
    ]
    if anew:
        yield (
            f"{', '.join(sorted(anew))}: built anew on this machine from the recipes of the images that run; their "
            "containers are replaced without need. To keep those, bring images, image lock and seed storage from the "
            "deploy host that deployed last (docs/pulumi.md, A second deploy host)."
        )
