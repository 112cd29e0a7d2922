"""The deploy host's own files of a stack: what its bundles wrote to /etc, removed if a destroy could not."""

from __future__ import annotations

import getpass
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from components.lib.host_files.shell import remove_stage
from operations.errors import BerthError

STATE = Path("/var/lib/berth")
"""Where a bundle keeps what was there before it, one directory per stack and stage."""


def clean(stack: str) -> Iterator[str]:
    """Remove each stage that is still applied to this machine; yields a description of each."""
    directory = STATE / stack
    if not directory.is_dir():
        return
    user = "root" if os.geteuid() == 0 else getpass.getuser()
    for stage in sorted(entry.name for entry in directory.iterdir() if entry.is_dir()):
        argv = ["sh", "-c", remove_stage(stack, stage, user)]
        result = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if result.returncode:
            raise BerthError(f"The deploy host's {stage} settings can't be removed: {result.stderr.strip()}")
        yield f"the deploy host's {stage} settings"
