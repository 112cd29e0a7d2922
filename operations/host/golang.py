"""Builds the images that are one static Go program."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import images
from operations.host import image, source
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


def pack(name: str, shell: Shell, cache: Path, work: Path) -> None:
    """Make an image of the compiled program that holds nothing else but its health check."""
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=work) as folder:
        root = Path(folder) / "root"
        for directory in ("bin", "etc/ssl/certs", "tmp"):
            (root / directory).mkdir(parents=True)
        (root / "etc" / "passwd").write_text(PASSWD, encoding="utf-8")
        (root / "etc" / "group").write_text(GROUP, encoding="utf-8")
        shutil.copy(program(name, cache), root / "bin" / name)
        shutil.copy(health(name, cache), root / "bin" / "health")
        if changed := images.edited(name):
            # MinIO's licence requires that users of a changed program get the change: it is in the image itself.
            shutil.copytree(changed, root / "usr" / "share" / "doc" / name)
        for path in (root, *root.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        (root / "tmp").chmod(0o1777)
        changes = image.changes(name, images.recipe(name)["version"])
        # The same program is the same layer, which who has it need not pull again.
        same = ("--owner=0", "--group=0", "--mtime=@0", "--sort=name")
        image.import_folder(root, images.reference(name), changes, shell, *same)
