"""What a service tells its node's script beside its files; pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from components.lib.host_files.bundle import Directive, Entry
from config import naming

SERVICE_SCRIPT = Path(__file__).parent / "scripts" / "service.sh"
SERVICE_SCRIPTS = (SERVICE_SCRIPT,)
"""Of a service with nothing of its own to do on its node."""


@dataclass(frozen=True)
class Port:
    """A port that must be free on the node before the service's first start."""

    address: str
    number: int
    setting: str
    """Where the user chose it, for the message when it is taken."""


def service_directives(stage: str, *ports: Port) -> list[Entry]:
    """The stage's container and ports, as `service.sh` reads them."""
    return [
        Directive("container", [naming.service_container(stage)]),
        *(Directive("port", [port.address, str(port.number), port.setting]) for port in ports),
    ]
