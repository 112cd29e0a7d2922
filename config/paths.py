"""Every path of the deploy host that Berth decides itself, each with its reason; the only reader of BERTH_HOME."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The checkout."""
PINS = "pins"
"""The folder of the pins, one file for each stack."""
PINS_VARIABLE = "BERTH_PINS"


def home(environment: Mapping[str, str] = os.environ) -> Path:
    """Everything that Berth keeps on the deploy host: in the checkout, so that removing it removes all."""
    given = environment.get("BERTH_HOME")
    return Path(given).expanduser().absolute() if given else ROOT / ".berth"


def stack_directory(stack: str) -> Path:
    """Files of one stack on the deploy host: one directory, so that `down` removes it whole."""
    return home() / "stacks" / stack


def kolla_brought_file(stack: str) -> Path:
    """Names the Kolla images that were imported last; other content makes the next `up` deploy them."""
    return stack_directory(stack) / "kolla-brought"


def pins_file(stack: str, environment: Mapping[str, str] = os.environ) -> Path:
    """What was promoted to a stack, committed with its settings; a preview of other pins names their file."""
    return Path(environment.get(PINS_VARIABLE) or ROOT / PINS / f"{stack}.yaml")


def ssh_key_file(stack: str) -> Path:
    """Private key for lab nodes; the ssh program, which docker's provider runs, takes keys as files only."""
    return stack_directory(stack) / "ssh_key"


def known_hosts_file(stack: str) -> Path:
    """Pinned host keys of all nodes, for the ssh program."""
    return stack_directory(stack) / "known_hosts"


def ca_file(stack: str) -> Path:
    """The stack's CA, for docker, curl and pulumi-minio, which takes a CA as a file."""
    return stack_directory(stack) / "ca.pem"


def image_lock() -> Path:
    """What bootstrap built: reference and digest of every image."""
    return home() / "images.json"


def seed_storage() -> Path:
    """The seed registry's storage, filled by bootstrap and shared by all stacks of this deploy host."""
    return home() / "seed"
