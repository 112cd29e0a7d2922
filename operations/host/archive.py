"""Writes an image as the archive that `docker load` reads: the one way to set every field that works on every Docker.

`docker import` cannot set a stop signal, and a build needs a builder. This needs neither, and equal inputs give equal
images.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import images

LABEL = "berth.image"
"""The label by which Berth knows its images again."""

EPOCH = "1970-01-01T00:00:00Z"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class ImageConfig:
    """An image's run configuration, in Docker's terms."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    environment: tuple[str, ...] = ()
    stop_signal: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    def document(self, layer: str) -> dict[str, Any]:
        """The image's configuration file."""
        config: dict[str, Any] = {
            "Entrypoint": list(self.entrypoint) or None,
            "Cmd": list(self.command) or None,
            "User": self.user,
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *self.environment],
            "Labels": self.labels,
        }
        if self.stop_signal:
            config["StopSignal"] = self.stop_signal
        return {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "created": EPOCH,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
            "history": [{"created": EPOCH, "created_by": "berth"}],
        }


def run_config(name: str, version: str) -> ImageConfig:
    """The run configuration and labels of one of Berth's images, from its recipe."""
    pins = images.recipe(name)
    labels = {
        LABEL: name,
        "org.opencontainers.image.title": str(pins["title"]),
        "org.opencontainers.image.source": str(pins["source"]),
        "org.opencontainers.image.version": version,
    }
    return ImageConfig(
        entrypoint=tuple(pins.get("entrypoint", ())),
        command=tuple(pins.get("command", ())),
        user=pins.get("user", ""),
        environment=tuple(pins.get("environment", ())),
        stop_signal=pins.get("stop_signal", ""),
        labels=labels,
    )


class Layer:
    """A root file system being written as a tar: owner root and time zero by default."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar

    def directory(self, name: str, mode: int = 0o755, owner: int = 0) -> None:
        """An empty directory."""
        self._add(name, tarfile.DIRTYPE, mode, owner)

    def text(self, name: str, content: str, mode: int = 0o644) -> None:
        """A file with this text."""
        data = content.encode()
        self._add(name, tarfile.REGTYPE, mode, source=io.BytesIO(data), size=len(data))

    def file(self, name: str, path: Path, mode: int) -> None:
        """A copy of a file of this machine."""
        with path.open("rb") as source:
            self._add(name, tarfile.REGTYPE, mode, source=source, size=path.stat().st_size)

    def subtree(self, source: tarfile.TarFile, prefix: str) -> None:
        """What another tar has below `prefix`, owners and modes kept."""
        for member in source:
            name = member.name.removeprefix("./")
            if not name.startswith(prefix + "/"):
                continue
            member.name = name[len(prefix) + 1 :]
            if member.islnk():
                member.linkname = member.linkname.removeprefix("./").removeprefix(prefix + "/")
            member.mtime = 0
            member.uname = member.gname = ""
            self._tar.addfile(member, source.extractfile(member) if member.isreg() else None)

    def _add(
        self, name: str, kind: bytes, mode: int, owner: int = 0, *, source: IO[bytes] | None = None, size: int = 0
    ) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.size, info.uid, info.gid = kind, mode, size, owner, owner
        self._tar.addfile(info, source)


@contextmanager
def layer(path: Path) -> Iterator[Layer]:
    """A new layer at `path`."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        yield Layer(tar)


def pack(layer_file: Path, config: ImageConfig, reference: str, archive: Path) -> str:
    """Write the archive of a one-layer image; returns the image's id."""
    with layer_file.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
    document = json.dumps(config.document(digest), sort_keys=True, separators=(",", ":"))
    identity = hashlib.sha256(document.encode()).hexdigest()
    manifest = [{"Config": f"{identity}.json", "RepoTags": [reference], "Layers": [f"{digest}/layer.tar"]}]
    with layer(archive) as out:
        out.text(f"{identity}.json", document)
        out.file(f"{digest}/layer.tar", layer_file, 0o644)
        out.text("manifest.json", json.dumps(manifest))
    return f"sha256:{identity}"
