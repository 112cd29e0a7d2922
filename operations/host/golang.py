"""Builds the images that are one static Go program."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import images
from operations.host import source
from operations.host.archive import Layer, layer, pack, run_config
from operations.host.shell import Shell

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


def program(name: str, cache: Path) -> Path:
    """Where the compiled program is kept."""
    return cache / "programs" / f"{name}-{images.input_hash(name)}"


def health(name: str, cache: Path) -> Path:
    """Where the image's program for health checks is kept."""
    return cache / "programs" / f"{name}-health-{images.input_hash(name)}"


def compile_program(name: str, go: str, shell: Shell, cache: Path) -> None:
    """Compile the pinned module or the site's, with go.sum's or Go's own checksums, and what checks its health."""
    pins = images.recipe(name)
    target = program(name, cache)
    target.parent.mkdir(parents=True, exist_ok=True)
    for old in target.parent.glob(f"{name}-*"):
        old.unlink()
    unfinished = target.with_name(f".{target.name}")
    options = ["-modcacherw", "-trimpath", "-buildvcs=false"]
    work = cache / "build"
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{name}-source-", dir=work) as folder:
        prepared = source.prepare(name, go, shell, environment(cache), Path(folder))
        linker = " ".join(["-s", "-w", *pins["linker"]])
        shell.run(
            [go, "build", *prepared.flags, *options, "-ldflags", linker, "-o", str(unfinished), pins["package"]],
            folder=prepared.folder,
            environment=environment(cache),
        )
    shell.run(
        [go, "build", "-mod=readonly", *options, "-ldflags", "-s -w", "-o", str(health(name, cache)), "."],
        folder=images.folder(images.HEALTH),
        environment=environment(cache),
    )
    # Last: where this one is, both are whole.
    unfinished.replace(target)


def load(name: str, shell: Shell, cache: Path, work: Path) -> None:
    """Load the compiled program as an image that holds nothing else but its health check."""
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=work) as folder:
        files, archive = Path(folder) / "layer.tar", Path(folder) / "image.tar"
        with layer(files) as out:
            for directory in ("bin", "etc", "etc/ssl", "etc/ssl/certs"):
                out.directory(directory)
            out.text("etc/passwd", PASSWD)
            out.text("etc/group", GROUP)
            out.directory("tmp", 0o1777)
            _changes(name, out)
            out.file(f"bin/{name}", program(name, cache), 0o755)
            out.file("bin/health", health(name, cache), 0o755)
        pack(files, run_config(name, images.recipe(name)["version"]), images.reference(name), archive)
        shell.run(["docker", "load", f"--input={archive}"])


def _changes(name: str, out: Layer) -> None:
    """MinIO's licence requires that users of a changed program get the change: it is in the image itself."""
    changes = images.edited(name)
    if not changes:
        return
    for directory in ("usr", "usr/share", "usr/share/doc", f"usr/share/doc/{name}"):
        out.directory(directory)
    for path in sorted(changes.iterdir()):
        out.text(f"usr/share/doc/{name}/{path.name}", path.read_text(encoding="utf-8"))
