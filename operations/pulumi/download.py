"""The published CLI and plugins, downloaded on request by Pulumi's own installer, with a timeout."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from operations.errors import BerthError
from operations.pulumi import cli
from operations.pulumi.version import refusal

SECONDS = 600.0
"""For the CLI, and again for the plugins: a hundred megabytes each."""
INSTALL = """\
import subprocess, sys
from pulumi.automation import PulumiCommand
try:
    PulumiCommand.install(root=sys.argv[1])
except subprocess.CalledProcessError as error:
    sys.exit(error.output.decode(errors="replace").strip() or str(error))
except Exception as error:
    sys.exit(f"{error}")
"""


def download(log: Callable[[str], None], environment: Mapping[str, str] = os.environ, seconds: float = SECONDS) -> bool:
    """Fetch what is missing of CLI and plugins; whether all is there now. Failures are logged and not fatal."""
    try:
        program, _ = cli.fitting(environment)
        if program is None or cli.LANGUAGE_HOST in cli.missing_plugins(program, environment):
            log("Downloading the Pulumi CLI with its own installer.")
            program = _install(environment, seconds)
        _plugins(program, environment, seconds, log)
    except BerthError as error:
        log(str(error))
        return False
    return True


def _install(environment: Mapping[str, str], seconds: float) -> Path:
    home = cli.pulumi_home(environment)
    failed = _run([sys.executable, "-c", INSTALL, str(home)], environment, seconds)
    program = home / "bin" / "pulumi"
    failed = failed or ((refusal(program) or "") if program.exists() else f"the installer left no {program}")
    if failed:
        raise BerthError(f"The Pulumi CLI could not be downloaded ({failed}).")
    return program


def _plugins(program: Path, environment: Mapping[str, str], seconds: float, log: Callable[[str], None]) -> None:
    versions = cli.plugin_versions()
    missing = [
        name for name in versions if f"plugin {name} {versions[name]}" in cli.missing_plugins(program, environment)
    ]
    if not missing:
        return
    log(f"Downloading Pulumi's plugins: {', '.join(f'{name} {versions[name]}' for name in missing)}.")
    for name in missing:
        failed = _run([str(program), "plugin", "install", "resource", name, versions[name]], environment, seconds)
        if failed:
            raise BerthError(f"Pulumi's plugin {name} {versions[name]} could not be downloaded ({failed}).")


def _run(words: Sequence[str], environment: Mapping[str, str], seconds: float) -> str:
    """Why the command failed; empty where it did not. It ends with everything that it has started."""
    with subprocess.Popen(
        words,
        env={**environment, "PULUMI_SKIP_UPDATE_CHECK": "true", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return f"it took longer than {seconds:g} s"
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    lines = [line for line in output.splitlines() if line.strip()]
    return "" if process.returncode == 0 else (lines[-1].strip()[:200] if lines else f"exit code {process.returncode}")
