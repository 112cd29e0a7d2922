"""Builds the images that are one static Go program."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import images

from .archive import ImageConfig, layer, pack
from .debian import exists, labels
from .shell import Shell

USER = 65532
PASSWD = f"root:x:0:0:root:/root:/sbin/nologin\nberth:x:{USER}:{USER}:berth:/tmp:/sbin/nologin\n"
GROUP = f"root:x:0:\nberth:x:{USER}:\n"


def environment(cache: Path) -> dict[str, str]:
    """Go's settings for a build; proxies, private modules and credentials stay as the host has them."""
    own = {
        "GOPATH": str(cache / "go"),
        "GOMODCACHE": str(cache / "go" / "pkg" / "mod"),
        "GOCACHE": str(cache / "go-build"),
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOTELEMETRY": "off",
    }
    return {**os.environ, **own}


def build(name: str, go: str, shell: Shell, cache: Path, work: Path) -> None:
    """Compile the pinned module and load it as an image that holds nothing else."""
    if exists(images.reference(name)):
        return
    pins = images.versions()[name]
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=work) as folder:
        program, files, archive = (Path(folder) / part for part in ("program", "layer.tar", "image.tar"))
        shell.run(
            [
                *(go, "build", "-mod=readonly", "-modcacherw", "-trimpath", "-buildvcs=false"),
                *("-ldflags", " ".join(["-s", "-w", *pins["linker"]]), "-o", str(program), pins["package"]),
            ],
            folder=images.folder(name),
            environment=environment(cache),
        )
        with layer(files) as out:
            for directory in ("bin", "etc", "etc/ssl", "etc/ssl/certs"):
                out.directory(directory)
            out.text("etc/passwd", PASSWD)
            out.text("etc/group", GROUP)
            out.directory("tmp", 0o1777)
            out.file(f"bin/{name}", program, 0o755)
        command = ("serve", "/etc/distribution/config.yml") if name == "registry" else ()
        config = ImageConfig(
            entrypoint=(f"/bin/{name}",),
            command=command,
            user=f"{USER}:{USER}",
            stop_signal="SIGTERM",
            labels=labels(name, pins["version"]),
        )
        pack(files, config, images.reference(name), archive)
        shell.run(["docker", "load", f"--input={archive}"])
