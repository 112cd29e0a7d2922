"""Builds the images that are made of Debian packages: a bare base by debootstrap, then each in a container of it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import images
from operations.host import image, mirrors
from operations.host.errors import BootstrapError
from operations.host.shell import Shell

KEPT = {"nginx": "rootfs"}
"""Images that are a part of the build container's files, not the whole of them."""


def base_reference() -> str:
    """The bare Debian on the deploy host's Docker."""
    return f"berth/base:{images.base_hash()}"


def build_base(shell: Shell, settings: mirrors.BuildSettings, work: Path) -> None:
    """Debian's smallest system, imported into Docker; both Debian images start from it."""
    if image.exists(base_reference()):
        return
    work.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix="base-", dir=work))
    try:
        root.chmod(0o755)
        what = [*settings.debootstrap, images.pins_suite(), str(root), settings.mirror.main.uri]
        shell.run(["debootstrap", "--variant=minbase", *what], environment=settings.environment)
        # Debootstrap leaves what it ran with: the host's name, its resolver and its mirror.
        (root / "etc" / "apt" / "sources.list").write_text("", encoding="utf-8")
        for trace in ("etc/hostname", "etc/resolv.conf", "var/log/bootstrap.log"):
            (root / trace).unlink(missing_ok=True)
        packages = "--exclude=./var/cache/apt/archives/*.deb"
        image.import_folder(root, base_reference(), [f"LABEL {image.LABEL}=base"], shell, packages)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def build(name: str, shell: Shell, settings: mirrors.BuildSettings, work: Path) -> None:
    """Run the image's script in a container of the base and keep what it made."""
    reference = images.reference(name)
    if image.exists(reference):
        return
    work.mkdir(parents=True, exist_ok=True)
    with image.container(images.folder(name) / "build.sh", base_reference(), settings, shell) as container:
        changes = image.changes(name, _version(shell))
        if name not in KEPT:
            image.import_tar(["docker", "export", container], reference, changes, shell)
            return
        with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=work) as folder:
            taken = ["docker", "cp", f"{container}:/{KEPT[name]}", "-"]
            shell.pipe(taken, ["tar", "--numeric-owner", f"--directory={folder}", "--extract"])
            image.import_folder(Path(folder) / KEPT[name], reference, changes, shell)


def _version(shell: Shell) -> str:
    """A build script's last line is the version of what it installed."""
    lines = shell.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if not lines:
        raise BootstrapError(f"The build printed no version; see {shell.log}.")
    return lines[-1].strip()
