"""The images that Berth builds itself: what each is made from, and the tag that follows from it."""

from __future__ import annotations

import hashlib
import json
import platform
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from images import site
from images.site import SiteError

__all__ = [
    "FOLDER",
    "NAMES",
    "SAME_IMAGE",
    "SERVICES",
    "SiteError",
    "base_hash",
    "digest",
    "edited",
    "folder",
    "input_hash",
    "kolla_hash",
    "pins_suite",
    "recipe",
    "reference",
    "stored",
    "versions",
]

FOLDER = Path(__file__).resolve().parent

SERVICES = ("registry", "minio", "nginx")
"""Images that nodes pull from the seed registry."""

SAME_IMAGE = {"cache": "registry", "keepalived": "nginx", "objectStore": "minio"}
"""Services that run an image of another name than their own, unless the settings name one."""

NAMES = ("lab-node", "upstream", *SERVICES)

HEALTH = "health"
"""The folder of the program that every image of a Go program has beside its own."""

RECIPE = 1
"""Raised when the way of building changes in a manner that no other input shows."""


@cache
def versions() -> dict[str, Any]:
    """The pins of `versions.toml`."""
    return tomllib.loads((FOLDER / "versions.toml").read_text(encoding="utf-8"))


def recipe(name: str) -> dict[str, Any]:
    """What this machine builds an image from: its pins, and over them what the site sets."""
    pins: dict[str, Any] = versions()[name]
    return {**pins, **site.settings(name, pins.get("module", ""))}


def edited(name: str) -> Path | None:
    """The folder with Berth's changes to the program's source; None where there are none or the site does without."""
    changes = folder(name) / "edit"
    return changes if changes.is_dir() and recipe(name).get("edit", True) else None


def folder(name: str) -> Path:
    """Where an image's own files are."""
    return FOLDER / name.replace("-", "_")


def digest(*parts: object) -> str:
    """Twelve hex digits over what an image is made from, on this kind of processor."""
    return hashlib.sha256(json.dumps([RECIPE, platform.machine(), *parts], sort_keys=True).encode()).hexdigest()[:12]


@cache
def input_hash(name: str) -> str:
    """Twelve hex digits over everything an image is made from: its folder, its pins, the suite or the toolchain."""
    if name not in NAMES:
        raise KeyError(name)
    pins, own, files = versions(), recipe(name), _files(folder(name))
    if "module" in own:
        return digest(name, own, pins["go"], files, _files(folder(HEALTH)))
    return digest(name, own, pins["debian"]["suite"], files)


def kolla_hash() -> str:
    """Twelve hex digits over what Kolla's images are built by: recipes, overrides, the pinned kolla."""
    lock = FOLDER.parent / "requirements-kolla-build.lock"
    return digest("kolla", _files(folder("kolla")), lock.read_text(encoding="utf-8"))


def _files(top: Path) -> list[tuple[str, bool, str]]:
    """Every file below a folder that goes into an image: path, whether it is a program, content."""
    return [
        (path.relative_to(top).as_posix(), path.stat().st_mode & 0o111 != 0, path.read_bytes().hex())
        for path in sorted(top.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and not path.name.endswith("_test.go")
    ]


def stored(storage: Path, service: str, digest: str) -> bool:
    """Whether the seed registry's storage holds the manifest of a service's image."""
    kind, _, value = digest.partition(":")
    name = SAME_IMAGE.get(service, service)
    repository = storage / "docker" / "registry" / "v2" / "repositories" / "berth" / name
    return bool(value) and (repository / "_manifests" / "revisions" / kind / value / "link").is_file()


def base_hash() -> str:
    """The tag of the bare Debian that lab node and nginx start from."""
    return digest("base", 2, pins_suite())


def pins_suite() -> str:
    """The Debian suite of all images."""
    return str(versions()["debian"]["suite"])


def reference(name: str) -> str:
    """The image's name on the deploy host's Docker; known without building it."""
    return f"berth/{name}:{input_hash(name)}"
