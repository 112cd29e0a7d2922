"""Whether a `pulumi` that is on this machine will do."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path

OLDEST = (3, 260, 0)
"""The oldest that was tried with this program and its SDK."""
BELOW = (4, 0, 0)
"""The next major version, which may speak otherwise with its plugins."""
TIMEOUT = 30.0
"""Seconds for `pulumi version`, on a machine that is busy compiling."""


def refusal(program: Path, timeout: float = TIMEOUT) -> str | None:
    """Why this program will not do, in half a sentence; None where it will."""
    try:
        code, output = _version(program, timeout)
    except OSError as error:
        return f"{program} can't be run ({error.strerror})"
    except subprocess.TimeoutExpired:
        return f"{program} does not print its version within {timeout:g} s"
    found = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)(?:[-+]\S*)?", output.strip())
    if code or not found:
        return f"{program} does not print a version, so it is not Pulumi's CLI"
    version = tuple(int(number) for number in found.groups())
    if version < OLDEST:
        return f"{program} is version {_text(version)}, and Berth needs {_text(OLDEST)} or newer"
    if version >= BELOW:
        return f"{program} is version {_text(version)}, and Berth needs one below {_text(BELOW)}"
    return None


def _version(program: Path, timeout: float) -> tuple[int, str]:
    """Exit code and standard output of `pulumi version`; at the timeout all that it started is killed."""
    with tempfile.TemporaryDirectory(prefix="berth-pulumi-", ignore_cleanup_errors=True) as home:
        process = subprocess.Popen(
            [program, "version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            # The CLI writes logs into its home even for this.
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_HOME": home},
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=timeout)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        return process.returncode, output


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
