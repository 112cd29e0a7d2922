"""Whether a `pulumi` that is on this machine will do."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

OLDEST = (3, 260, 0)
"""The oldest that was tried with this program and its SDK."""
BELOW = (4, 0, 0)
"""The next major version, which may speak otherwise with its plugins."""
TIMEOUT = 30.0
"""Timeout of `pulumi version`, on a machine that is busy compiling."""


def refusal(program: Path) -> str | None:
    """Why this program will not do, in half a sentence; None where it will."""
    try:
        answer = subprocess.run(
            [program, "version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
            check=False,
        )
    except OSError as error:
        return f"{program} can't be run ({error.strerror})"
    except subprocess.TimeoutExpired:
        return f"{program} does not print its version within {TIMEOUT:g} s"
    found = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)(?:[-+]\S*)?", answer.stdout.strip())
    if answer.returncode or not found:
        return f"{program} does not print a version, so it is not Pulumi's CLI"
    version = tuple(int(number) for number in found.groups())
    if version < OLDEST:
        return f"{program} is version {_text(version)}, and Berth needs {_text(OLDEST)} or newer"
    if version >= BELOW:
        return f"{program} is version {_text(version)}, and Berth needs one below {_text(BELOW)}"
    return None


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
