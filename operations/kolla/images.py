"""The image check: everything that the nodes will pull is in the registry, and is what was built."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.kolla import render
from operations.errors import BerthError
from operations.kolla.environment import Environment
from operations.promote.store import Store
from operations.workspace import Workspace, write_private

PROGRAM = Path(__file__).with_name("plugins") / "kolla_images.py"
QUESTIONS = 8

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
        raise BerthError(f"Which images Kolla needs can't be found out: {last}")
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


def lock(workspace: Workspace, stack: str) -> dict[str, dict[str, str]]:
    """What was built or copied last: name -> repository, tag, digest; empty where nothing was."""
    try:
        return dict(json.loads((workspace.stack_dir(stack) / "kolla-images.json").read_text(encoding="utf-8")))
    except OSError:
        return {}


def check(wanted: list[Image], store: Store, locked: Mapping[str, Mapping[str, str]], stack: str) -> dict[Image, str]:
    """The digest of each; refuses what is missing, or is not what was locked under this tag, all of it at once."""
    with ThreadPoolExecutor(QUESTIONS) as pool:
        found = list(pool.map(lambda image: store.manifest(image.repository, image.tag), wanted))
    missing, moved = [], []
    for image, manifest in zip(wanted, found, strict=True):
        own = locked.get(image.name, {})
        if manifest is None:
            missing.append(str(image))
        elif own.get("repository") == image.repository and own.get("tag") == image.tag:
            before = own["digest"]
            moved += [f"{image} is {manifest.digest}, and was {before}"] if before != manifest.digest else []
    if missing:
        named = "\n".join(f"    {name}" for name in missing)
        raise BerthError(
            f"{len(missing)} of {len(wanted)} images are not in the registry:\n{named}\n"
            f"Build them (./berth kolla build --stack {stack}) or copy them, then run this again."
        )
    if moved:
        named = "\n".join(f"    {line}" for line in moved)
        raise BerthError(f"Tags have moved since their images were locked:\n{named}\nBuild or copy these images again.")
    return {image: manifest.digest for image, manifest in zip(wanted, found, strict=True) if manifest}
