"""Builds the images that are made of Debian packages: a bare base by debootstrap, then each in a container of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import images
from operations.host import mirrors
from operations.host.archive import LABEL, layer, pack, run_config
from operations.host.errors import BootstrapError
from operations.host.shell import Shell

KEPT = {"nginx": "rootfs"}
"""Images that are a part of the build container's files, not the whole of them."""


def base_reference() -> str:
    """The bare Debian on the deploy host's Docker."""
    return f"berth/base:{images.base_hash()}"


def exists(reference: str) -> bool:
    """Whether Docker has the image."""
    return subprocess.run(["docker", "image", "inspect", reference], capture_output=True, check=False).returncode == 0


def build_base(shell: Shell, settings: mirrors.BuildSettings, work: Path) -> None:
    """Debian's smallest system, imported into Docker; both Debian images start from it."""
    if exists(base_reference()):
        return
    work.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix="base-", dir=work))
    try:
        root.chmod(0o755)
        shell.run(
            [
                "debootstrap",
                "--variant=minbase",
                *settings.debootstrap,
                images.pins_suite(),
                str(root),
                settings.mirror.main.uri,
            ],
            environment=settings.environment,
        )
        # Debootstrap leaves what it ran with: the host's name, its resolver and its mirror.
        (root / "etc" / "apt" / "sources.list").write_text("", encoding="utf-8")
        for trace in ("etc/hostname", "etc/resolv.conf", "var/log/bootstrap.log"):
            (root / trace).unlink(missing_ok=True)
        change = [f"--change=LABEL {LABEL}=base"]
        packed = ["tar", "--numeric-owner", "--exclude=./var/cache/apt/archives/*.deb", "-C", str(root), "-c", "."]
        shell.pipe(packed, ["docker", "import", *change, "-", base_reference()])
    finally:
        shutil.rmtree(root, ignore_errors=True)


def build(name: str, shell: Shell, settings: mirrors.BuildSettings, work: Path) -> None:
    """Run the image's script in a container of the base and load what it made."""
    if exists(images.reference(name)):
        return
    work.mkdir(parents=True, exist_ok=True)
    container = f"berth-build-{name}-{os.getpid()}"
    proxies = [f"--env={key}" for key in settings.environment]
    try:
        shell.run(
            [
                *("docker", "run", f"--name={container}", f"--label={LABEL}={name}"),
                # The mirror may listen on the loopback address of this machine.
                *("--network=host", *proxies),
                f"--volume={settings.folder}:{mirrors.MOUNT}:ro",
                f"--volume={images.folder(name)}:/media:ro",
                *(base_reference(), "sh", "/media/build.sh"),
            ],
            environment=settings.environment,
        )
        _load(name, container, _version(shell), shell, work)
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", container], capture_output=True, check=False)


def _version(shell: Shell) -> str:
    """A build script's last line is the version of what it installed."""
    lines = shell.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if not lines:
        raise BootstrapError(f"The build printed no version; see {shell.log}.")
    return lines[-1].strip()


def _load(name: str, container: str, version: str, shell: Shell, work: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=work) as folder:
        files, archive = Path(folder) / "layer.tar", Path(folder) / "image.tar"
        part = KEPT.get(name)
        if part:
            exported = Path(folder) / "exported.tar"
            with exported.open("wb") as target:
                shell.run(["docker", "cp", f"{container}:/{part}", "-"], target=target)
            with tarfile.open(exported) as source, layer(files) as out:
                out.subtree(source, part)
            exported.unlink()
        else:
            shell.run(["docker", "export", f"--output={files}", container])
        pack(files, run_config(name, version), images.reference(name), archive)
        files.unlink()
        shell.run(["docker", "load", f"--input={archive}"])
