"""Rules about garbage collection: outside a lab nothing may be removed so soon that a push or a person is too late."""

from __future__ import annotations

from collections.abc import Iterator

from config.fields.common import duration_in_seconds
from config.model.stack import StackSettings
from config.problems import Problem, path, shown
from config.rules.common import Rule

_AT_LEAST = {
    "minimum_age": ("1h", "a push that takes longer would lose its layers"),
    "settle": ("1m", "a push of a manifest may take longer, and its layers would not be missed"),
    "purge_after": ("1d", "nobody could bring back what was removed by mistake"),
}


def careful(settings: StackSettings) -> Iterator[Problem]:
    """Short times are for trials in a lab, whose images are of no value."""
    collection = settings.registry.garbage_collection
    if settings.lab:
        return
    for name, (least, why) in _AT_LEAST.items():
        value, field = getattr(collection, name), type(collection).model_fields[name]
        if duration_in_seconds(value) < duration_in_seconds(least):
            at = path("registry", "garbageCollection", field.alias or name)
            yield Problem(at, f"is shorter than {least}: {why}.", f"Write {least} or more.", shown(value))


def own_image(settings: StackSettings) -> Iterator[Problem]:
    """The collector is a command of Berth's own registry image."""
    collection, image = settings.registry.garbage_collection, settings.images.registry or ""
    if collection.enabled and "enabled" in collection.model_fields_set and "@" in image:
        wrong = f"is true, but {path('images', 'registry')} names an image that has no collector."
        fix = "Remove that image, and Berth's own is used; or set `enabled: false`."
        yield Problem(path("registry", "garbageCollection", "enabled"), wrong, fix)


RULES: tuple[Rule, ...] = (careful, own_image)
