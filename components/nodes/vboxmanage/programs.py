"""Calls of VBoxManage and of other programs, none of which answers in the user's language."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from operations.errors import BerthError


def run(words: Sequence[str | Path], stderr: int = subprocess.STDOUT) -> subprocess.CompletedProcess[str]:
    """A program's status and output, its errors included."""
    return subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        errors="replace",
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    )


def ask(*words: str | Path) -> str:
    """What a program answers; nothing where it fails, which VBoxManage does where there is no such thing."""
    done = run(words, subprocess.DEVNULL)
    return "" if done.returncode else done.stdout


def change(*words: str | Path) -> None:
    """One command of VBoxManage that changes something; its own first error is the reason that is given."""
    done = run(["VBoxManage", *words])
    if done.returncode:
        found = re.search(r"^VBoxManage: error: (.*)", done.stdout, re.MULTILINE)
        raise BerthError(f"VBoxManage {words[0]} {words[1]} failed: {found[1] if found else last_line(done.stdout)}")


def last_line(text: str) -> str:
    """Where a program says why it ended."""
    return text.strip().rpartition("\n")[2]


def need_virtualbox() -> None:
    """Refuse a machine without VBoxManage, or with an old one."""
    if not shutil.which("VBoxManage"):
        raise BerthError("VBoxManage is not on this machine; install VirtualBox 6.1 or newer here, then run again")
    # It prints a note about its kernel driver among its answers.
    versions = re.findall(r"^(\d+)\.(\d+)\.", ask("VBoxManage", "--version"), re.MULTILINE)
    if not versions or tuple(map(int, versions[-1])) < (6, 1):
        known = ".".join(versions[-1]) if versions else "of an unknown version"
        raise BerthError(f"VirtualBox {known} is on this machine; install 6.1 or newer, then run again")


def local(path: str) -> Path:
    """A path of the settings, `~/` being this user's home."""
    return Path(path).expanduser()
