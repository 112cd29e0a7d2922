"""`berth node-config`: what a node's system is installed with, as text; its secrets only where nobody else reads."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from components.node_config import cloud_config, cloud_init, ignition
from components.node_config.machine import Machine, Secrets, machines
from components.node_config.pieces import notes
from config import expected_secrets, stackfile
from config.model.stack import Settings
from config.problems import SettingsError, path
from operations.errors import UsageError
from operations.workspace import StackFile, write_private

if TYPE_CHECKING:
    from operations.pulumi.session import Session


__all__ = ["Format", "machine", "notes", "text", "write"]


class Format(StrEnum):
    """The texts that a node can be set up with."""

    CLOUD_CONFIG = "cloud-config"
    IGNITION = "ignition"
    CLOUD_INIT = "cloud-init"
    NETWORK_CONFIG = "network-config"
    META_DATA = "meta-data"


RENDERERS = {
    Format.CLOUD_CONFIG: cloud_config.cloud_config,
    Format.IGNITION: ignition.ignition,
    Format.CLOUD_INIT: cloud_init.user_data,
    Format.NETWORK_CONFIG: cloud_init.network_config,
    Format.META_DATA: cloud_init.meta_data,
}
_CLOUD_INIT = (Format.CLOUD_INIT, Format.NETWORK_CONFIG, Format.META_DATA)
# The first one is the system's own; Flatcar still reads what CoreOS did.
FORMATS: dict[str, tuple[Format, ...]] = {
    "coreos": (Format.CLOUD_CONFIG,),
    "flatcar": (Format.IGNITION, Format.CLOUD_CONFIG),
    "debian": _CLOUD_INIT,
    "ubuntu": _CLOUD_INIT,
}
# The texts that never hold a secret.
_OPEN = (Format.NETWORK_CONFIG, Format.META_DATA)


def machine(stack_file: StackFile, node: str, session: Callable[[], Session]) -> Machine:
    """A node as the settings describe it; a session decrypts the stack's secrets, if the node has some."""
    settings = stackfile.parse(stack_file.stack, stack_file.document)
    names = [one.name for one in settings.nodes]
    if node not in names:
        raise UsageError(f"There is no node '{node}' in stack {stack_file.stack}: {', '.join(names)}.")
    found = next((one for one in machines(settings) if one.name == node), None)
    if found is None:
        place = f"berth:nodes[{names.index(node)}].config"
        raise UsageError(
            f"Nothing says what {node} is set up with: write {place}, or berth:nodeDefaults for all nodes "
            "(docs/nodes.md)."
        )
    if not found.has_secrets:
        return found
    secrets = _secrets(session(), settings)
    return next(one for one in machines(settings, secrets) if one.name == node)


def _secrets(session: Session, settings: Settings) -> Secrets:
    session.ensure_stack()
    raw = session.ask_json("config", "get", "--path", path("secrets"))
    wrong = list(expected_secrets.check_decrypted(session.stack, raw, True, settings))
    if wrong:
        raise UsageError(str(SettingsError(session.stack, wrong)))
    return Secrets(raw.get("nodeUsers") or {}, raw.get("nodeFiles") or {})


def text(machine: Machine, wanted: Format | None) -> tuple[str, bool]:
    """The text in the wanted format, or the system's own, and whether it holds secrets."""
    known = FORMATS[machine.system]
    chosen = wanted or known[0]
    if chosen not in known:
        fix = f"use {' or '.join(known)}"
        raise UsageError(f"{machine.name} runs {machine.system}, which does not read {chosen}: {fix}.")
    return RENDERERS[chosen](machine), machine.has_secrets and chosen not in _OPEN


def write(file: Path, content: str) -> None:
    """Write the text where nobody else can read it."""
    try:
        write_private(file, content)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}.") from None
