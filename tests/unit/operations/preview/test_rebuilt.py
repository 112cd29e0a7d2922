"""A preview where images were built anew from the recipes of those that run."""

from __future__ import annotations

from typing import Any

import pytest

from components.lib.image_references import Images
from config import stackfile
from config.model.stack import Settings
from config.paths import ROOT
from operations.preview.rebuilt import notices

OLD, NEW = (f"sha256:{digit * 64}" for digit in "12")


def lock(digest: str, recipe: str = "a") -> dict[str, dict[str, str]]:
    return {name: {"reference": f"berth/{name}:{recipe}", "digest": digest} for name in ("registry", "minio", "nginx")}


def settings(**named: str) -> Settings:
    document = stackfile.read(ROOT / "Pulumi.dev.yaml")
    document["config"]["berth:images"] = named
    return stackfile.parse("dev", document)


def deployed(**named: str) -> dict[str, Any]:
    """The outputs of a stack that runs what another deploy host built."""
    images = Images(lock(OLD), named, "seed:4999")
    return {"images": images.pins(), "image_recipes": images.recipes()}


def test_another_digest_from_the_same_recipe_is_said_with_what_to_do() -> None:
    (said,) = notices(deployed(), settings(), lock(NEW))
    assert said.startswith("cache, keepalived, nginx, objectStore, registry: built anew") and "docs/pulumi.md" in said


@pytest.mark.parametrize(
    "here", [lock(OLD), lock(NEW, recipe="b"), {}], ids=["same image", "another recipe", "nothing built"]
)
def test_the_same_image_or_another_recipe_is_no_news(here: dict[str, dict[str, str]]) -> None:
    assert list(notices(deployed(), settings(), here)) == []


def test_what_settings_name_is_no_image_of_this_machine() -> None:
    named = f"r.x/minio@{OLD}"
    for outputs in (deployed(), deployed(objectStore=named)):
        (said,) = notices(outputs, settings(objectStore=named), lock(NEW))
        assert "objectStore" not in said


@pytest.mark.parametrize("outputs", [{}, {"images": {"nginx": OLD}}], ids=["not deployed", "an earlier version"])
def test_a_stack_that_says_no_recipes_is_no_news(outputs: dict[str, Any]) -> None:
    assert list(notices(outputs, settings(), lock(NEW))) == []
