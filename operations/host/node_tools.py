"""A lab node with cloud-init and Ignition's validator in it, for tests: on this machine itself neither is installed."""

from __future__ import annotations

from pathlib import Path

import images
from operations.host import image, mirrors
from operations.host.shell import Shell

SCRIPT = Path(__file__).parent / "scripts" / "node-tools.sh"


def reference() -> str:
    """The image's name; another lab node or another script is another image."""
    return f"berth/node-tools:{images.digest(images.input_hash('lab-node'), SCRIPT.read_text('utf-8'))}"


def is_there() -> bool:
    """Whether it was built."""
    return image.exists(reference())


def build(shell: Shell, settings: mirrors.BuildSettings) -> None:
    """Install the packages in a container of the lab node's image, in which nothing runs, and keep that."""
    with image.container(SCRIPT, images.reference("lab-node"), settings, shell) as container:
        changes = [f"LABEL {image.LABEL}=node-tools", *image.run_changes("lab-node")]
        shell.run(["docker", "commit", *(f"--change={change}" for change in changes), container, reference()])
