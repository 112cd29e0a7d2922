"""The image check: everything that the nodes will pull is in the registry, and is what it was before."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.kolla import render
from operations.errors import BerthError
from operations.kolla.environment import Environment
from operations.kolla.images.published import Locked
from operations.registry.client import RegistryClient
from operations.registry.copy_images import each
from operations.workspace import write_private

PROGRAM = Path(__file__).with_name("plugins") / "kolla_images.py"

ByHost = Mapping[str, Mapping[str, str]]
"""What every host runs: image -> the tag of the playbook's part that deploys it."""


@dataclass(frozen=True)
class Image:
    """An image as a node pulls it."""

    repository: str
    tag: str

    @property
    def name(self) -> str:
        """Kolla's own name: the last part."""
        return self.repository.rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"


def needed(environment: Environment, folder: Path) -> ByHost:
    """The images of every host, as kolla-ansible itself would name them."""
    argv = [environment.program("python"), str(PROGRAM), str(environment.share), str(folder)]
    answer = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if answer.returncode:
        last = (answer.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise BerthError(f"The list of images that Kolla needs can't be computed: {last}")
    return dict(json.loads(answer.stdout))


def needed_by(environment: Environment, document: Mapping[str, Any]) -> ByHost:
    """The same for what is not on disk yet."""
    with tempfile.TemporaryDirectory() as folder:
        for path, text in render.files(document, environment.sample_inventory, {}).items():
            write_private(Path(folder) / path, text)
        return needed(environment, Path(folder))


def images(by_host: ByHost, registry: str) -> list[Image]:
    """Each image once; all of them are in this registry."""
    found = []
    for reference in sorted({image for own in by_host.values() for image in own}):
        if not reference.startswith(f"{registry}/"):
            wrong = f"{reference} is not in the stack's registry"
            raise BerthError(f"{wrong}: remove what sets it from berth:kolla.globals.")
        repository, _, tag = reference.removeprefix(f"{registry}/").rpartition(":")
        found.append(Image(repository, tag))
    return found


def check(
    wanted: Sequence[Image], store: RegistryClient, locked: Mapping[str, Locked], accept: bool = False
) -> dict[str, Locked]:
    """The images as they are in the registry, for the lock; refuses what is missing and names all of it.

    What is not what was locked under this tag is refused, too, unless `accept`.
    """
    found = each(lambda image: store.manifest(image.repository, image.tag), wanted)
    missing = [f"    {image}" for image, manifest in zip(wanted, found, strict=True) if manifest is None]
    if missing:
        raise BerthError(
            f"{len(missing)} of {len(wanted)} images are not in {store.registry}:\n"
            + "\n".join(missing)
            + f"\nBuild them (./berth kolla build --stack {store.stack}) or copy them (./berth kolla copy), "
            "then run this again."
        )
    now, moved = dict[str, Locked](), []
    for image, manifest in zip(wanted, filter(None, found), strict=True):
        now[image.name] = Locked(image.repository, image.tag, manifest.digest)
        before = locked.get(image.name)
        if before and before != now[image.name] and (before.repository, before.tag) == (image.repository, image.tag):
            moved.append(f"    {image} is {manifest.digest}, and was {before.digest}")
    if moved and not accept:
        raise BerthError(
            f"Tags have moved in {store.registry} since their images were locked:\n"
            + "\n".join(moved)
            + "\nBuild or copy these images again, or take them as they are: "
            f"./berth kolla images --accept --stack {store.stack}"
        )
    return now
