"""The Debian that Kolla's own base image starts from: this machine's mirror and authorities, and nothing else of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import images
from operations.host import debian, image, mirrors
from operations.host.shell import Shell
from operations.kolla.images.catalogue import FOLDER

REPOSITORY = "berth/kolla/debian"
SCRIPT = FOLDER / "base.sh"
AUTHORITIES = (Path("/usr/local/share/ca-certificates"), Path("/etc/pki/ca-trust/source/anchors"))
"""Where an administrator puts the authorities of an inner mirror, by family of distributions."""


def settings(cache: Path) -> mirrors.BuildSettings:
    """This machine's mirror, with the authorities that it knows beyond Debian's own."""
    found = mirrors.write(cache / "apt-kolla")
    trust = found.folder / "authorities"
    trust.mkdir()
    for path in sorted(path for place in AUTHORITIES for path in place.glob("*.crt")):
        shutil.copyfile(path, trust / path.name)
    return found


def reference(given: mirrors.BuildSettings) -> str:
    """The image's name; another script, mirror or authority makes another image."""
    trust = {path.name: path.read_text("utf-8") for path in sorted((given.folder / "authorities").iterdir())}
    sources = (given.folder / "sources.list").read_text("utf-8")
    return f"{REPOSITORY}:{images.digest(images.base_hash(), SCRIPT.read_text('utf-8'), sources, trust)}"


def build(shell: Shell, given: mirrors.BuildSettings, work: Path) -> None:
    """Prepare the bare Debian in a container and keep its files as one layer."""
    debian.build_base(shell, given, work)
    with image.container(SCRIPT, debian.base_reference(), given, shell) as container:
        image.import_tar(["docker", "export", container], reference(given), [f"LABEL {image.LABEL}=kolla"], shell)
