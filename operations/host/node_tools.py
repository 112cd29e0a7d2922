"""A lab node with cloud-init and Ignition's validator in it, for tests: on this machine itself neither is installed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import images
from operations.host import mirrors
from operations.host.archive import LABEL
from operations.host.debian import exists
from operations.host.shell import Shell

SCRIPT = Path(__file__).parent / "scripts" / "node-tools.sh"


def reference() -> str:
    """The image's name; another lab node or another script is another image."""
    return f"berth/node-tools:{images.digest(images.input_hash('lab-node'), SCRIPT.read_text('utf-8'))}"


def is_there() -> bool:
    """Whether it was built."""
    return exists(reference())


def build(shell: Shell, settings: mirrors.BuildSettings) -> None:
    """Install the packages in a container of the lab node's image, in which nothing runs, and keep that."""
    container = f"berth-build-node-tools-{os.getpid()}"
    try:
        shell.run(
            [
                *("docker", "run", f"--name={container}", "--network=host", "--entrypoint=sh"),
                *(f"--env={key}" for key in settings.environment),
                f"--volume={settings.folder}:{mirrors.MOUNT}:ro",
                f"--volume={SCRIPT}:/media/install.sh:ro",
                *(images.reference("lab-node"), "/media/install.sh"),
            ],
            environment=settings.environment,
        )
        pins = images.versions()["lab-node"]
        changes = [f"LABEL {LABEL}=node-tools", f"ENTRYPOINT {json.dumps(pins['entrypoint'])}"]
        changes.append(f"CMD {json.dumps(pins['command'])}")
        shell.run(["docker", "commit", *(f"--change={change}" for change in changes), container, reference()])
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", container], capture_output=True, check=False)
