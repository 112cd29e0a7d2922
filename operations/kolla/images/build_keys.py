"""What each image is made from: Kolla's templates with Berth's overrides, and the key that follows from all of it."""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

import images
from operations.errors import BerthError
from operations.kolla.images.catalogue import FOLDER, TABLE

NAMESPACE = "berth/kolla"
"""Of the images on this machine's Docker."""
REQUIREMENTS = FOLDER.parents[1] / "requirements-kolla-build.lock"
PIP = ("PIP_CERT", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT")
"""Settings of this machine's pip that build steps are given; `overrides.j2` declares them."""
_PARENT = re.compile(r"^FROM \S+?/([\w.-]+):\S+$", re.MULTILINE)


@dataclass(frozen=True)
class Recipe:
    """One image's rendered files."""

    parent: str | None
    """None for the one that starts from the bare Debian."""
    content: str
    """Digest of the files."""


def build_config(release: str, base_image: str, pip: Mapping[str, str], threads: int) -> str:
    """kolla-build's settings; `base_image` is the Debian's name and tag."""
    name, _, tag = base_image.rpartition(":")
    given = {key: value for key, value in pip.items() if key in PIP}
    for key, value in given.items():
        if re.search(r"//[^/]*@", value):
            raise BerthError(
                f"{key} holds a password, which every image's history would keep: name an index that asks for none."
            )
    # A dictionary of oslo.config: a comma ends an entry, the first colon a key.
    arguments = ",".join(f"{key}:{value}" for key, value in sorted(given.items()))
    template = Template((FOLDER / "kolla-build.conf").read_text(encoding="utf-8"))
    return template.substitute(
        release=release,
        base_image=name,
        base_tag=tag,
        namespace=NAMESPACE,
        recipes=FOLDER,
        build_args=arguments,
        threads=threads,
    )


def rendering_key(config: str) -> str:
    """What the rendering depends on: Kolla's version, the settings, the overrides, whose templates there are."""
    texts = [REQUIREMENTS, FOLDER / "overrides.j2", FOLDER / "repos.yaml", TABLE]
    # How fast, and through which index, is no matter of the result.
    stable = re.sub(r"^(threads|build_args) = .*$", "", config, flags=re.MULTILINE).replace(str(FOLDER), "")
    return images.digest("kolla", stable, *(path.read_text(encoding="utf-8") for path in texts))


def read(rendered: Path) -> dict[str, Recipe]:
    """The recipes of a work directory of `kolla-build --template-only`."""
    return {
        dockerfile.parent.name: Recipe(_parent(dockerfile.read_text(encoding="utf-8")), _digest(dockerfile.parent))
        for dockerfile in sorted(rendered.rglob("Dockerfile"))
    }


def _parent(dockerfile: str) -> str | None:
    found = _PARENT.search(dockerfile)
    # The bare Debian's name has its own namespace's last part where an image has its name.
    return found[1] if found and found[1] != "debian" else None


def _digest(folder: Path) -> str:
    files = [
        (path.relative_to(folder).as_posix(), path.stat().st_mode & 0o111 != 0, path.read_bytes().hex())
        for path in sorted(folder.rglob("*"))
        # Images below others have their folders in them.
        if path.is_file() and path.suffix != ".j2" and not _is_another(path, folder)
    ]
    return images.digest(files)


def _is_another(path: Path, folder: Path) -> bool:
    return any((parent / "Dockerfile").exists() for parent in path.parents if folder in parent.parents)


def sources(config: str) -> dict[str, str]:
    """Image -> digest over the local folders that its build takes in, plugins included."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(config)
    found: dict[str, list[str]] = {}
    for section in parser.sections():
        if parser.get(section, "type", fallback="") == "local":
            image = section.partition("-plugin-")[0]
            found.setdefault(image, []).append(_digest(Path(parser.get(section, "location"))))
    return {image: images.digest(*digests) for image, digests in found.items()}


def with_parents(wanted: Iterable[str], recipes: Mapping[str, Recipe]) -> list[str]:
    """The images and all that they start from; parents first."""
    found: list[str] = []

    def add(name: str) -> None:
        if name in found:
            return
        if name not in recipes:
            raise BerthError(f"Kolla has no template for the image {name}: images/kolla/services.toml names it.")
        parent = recipes[name].parent
        if parent:
            add(parent)
        found.append(name)

    for name in wanted:
        add(name)
    return found


def keys(recipes: Mapping[str, Recipe], taken_in: Mapping[str, str]) -> dict[str, str]:
    """Twelve hex digits per image over everything it is made from, its parents included."""
    found: dict[str, str] = {}
    for name in with_parents(recipes, recipes):
        recipe = recipes[name]
        found[name] = images.digest(
            "kolla", name, recipe.content, taken_in.get(name, ""), found[recipe.parent] if recipe.parent else ""
        )
    return found


def dump(recipes: Mapping[str, Recipe]) -> str:
    """The recipes as a file that spares the next run a rendering."""
    return json.dumps({name: [recipe.parent, recipe.content] for name, recipe in recipes.items()})


def load(text: str) -> dict[str, Recipe]:
    """What `dump` wrote."""
    return {name: Recipe(*entry) for name, entry in json.loads(text).items()}
