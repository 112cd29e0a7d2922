"""Makes images on this machine's Docker of files: by `docker import`, which every Docker has without a builder."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import images
from operations.host import mirrors
from operations.host.shell import Shell

LABEL = "berth.image"
"""The label by which Berth knows its images again."""
RUN = {"ENTRYPOINT": "entrypoint", "CMD": "command"}


def exists(reference: str) -> bool:
    """Whether Docker has the image."""
    return subprocess.run(["docker", "image", "inspect", reference], capture_output=True, check=False).returncode == 0


def run_changes(name: str) -> list[str]:
    """How one of Berth's images is run, from its recipe; in the words of a Dockerfile."""
    pins = images.recipe(name)
    found = [f"ENV {variable}" for variable in pins.get("environment", ())]
    found += [f"{word} {json.dumps(pins[key])}" for word, key in RUN.items() if key in pins]
    return [*found, f"USER {pins['user']}"] if "user" in pins else found


def changes(name: str, version: str) -> list[str]:
    """The same with what the image says about itself."""
    pins = images.recipe(name)
    labels = {
        LABEL: name,
        "org.opencontainers.image.title": pins["title"],
        "org.opencontainers.image.source": pins["source"],
        "org.opencontainers.image.version": version,
    }
    return ["LABEL " + " ".join(f"{key}={json.dumps(value)}" for key, value in labels.items()), *run_changes(name)]


def import_tar(producer: Sequence[str], reference: str, changed: Sequence[str], shell: Shell) -> None:
    """An image of the root file system that a command writes as a tar."""
    shell.pipe(producer, ["docker", "import", *(f"--change={change}" for change in changed), "-", reference])


def import_folder(root: Path, reference: str, changed: Sequence[str], shell: Shell, *options: str) -> None:
    """An image of the files below a folder, owners and modes kept; `options` are tar's."""
    import_tar(["tar", "--numeric-owner", *options, f"--directory={root}", "--create", "."], reference, changed, shell)


@contextmanager
def container(script: Path, image: str, settings: mirrors.BuildSettings, shell: Shell) -> Iterator[str]:
    """A container in which a script has run, with the files beside it in /media and this machine's mirror in /mnt."""
    name = f"berth-build-{script.parent.name}-{os.getpid()}"
    try:
        shell.run(
            [
                # The mirror may listen on the loopback address of this machine.
                *("docker", "run", f"--name={name}", "--network=host", "--entrypoint=sh"),
                *(f"--env={key}" for key in settings.environment),
                f"--volume={settings.folder}:{mirrors.MOUNT}:ro",
                f"--volume={script.parent}:/media:ro",
                *(image, f"/media/{script.name}"),
            ],
            environment=settings.environment,
        )
        yield name
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=False)
