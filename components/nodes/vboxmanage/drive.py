"""The configuration drive: a small ISO from which the live system reads its configuration at its start."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from components.nodes.vboxmanage.programs import last_line, local, run
from operations.errors import BerthError

MAKERS = (("xorriso", "-as", "mkisofs"), ("genisoimage",), ("mkisofs",))


@dataclass(frozen=True)
class Drive:
    """What is made."""

    file: str
    user_data: str


def apply(drive: Drive) -> None:
    """Make it, or make it anew."""
    maker = next((words for words in MAKERS if shutil.which(words[0])), None)
    if maker is None:
        raise BerthError(
            "no program that writes an ISO is on this machine; install xorriso or genisoimage, then run again"
        )
    # It holds the machine's host key.
    os.umask(0o077)
    file = local(drive.file)
    file.parent.mkdir(parents=True, exist_ok=True)
    new = Path(f"{file}.new")
    with tempfile.TemporaryDirectory() as work:
        user_data = Path(work) / "openstack" / "latest" / "user_data"
        user_data.parent.mkdir(parents=True)
        user_data.write_text(drive.user_data, encoding="utf-8")
        done = run([*maker, "-quiet", "-V", "config-2", "-J", "-r", "-o", new, work])
    if done.returncode:
        raise BerthError(f"{maker[0]} could not write {new}: {last_line(done.stdout)}")
    new.replace(file)


def remove(drive: Drive) -> None:
    """Take it away."""
    local(drive.file).unlink(missing_ok=True)
