"""The readiness resource: runs on one node, again whenever what it waits for is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pulumi
import pulumi_command as command

from components.lib.host_files.shell import as_root, script

if TYPE_CHECKING:
    from components.nodes.node import Node

_FOLDER = Path(__file__).parent / "scripts"
ASK = _FOLDER / "ask.sh"
"""The function with which any script waits for answers."""
WAIT = script(ASK, _FOLDER / "wait.sh")
"""The script that waits for the probes of its standard input for so many seconds."""


@dataclass(frozen=True)
class Probe:
    """One question over HTTP and the status that means ready."""

    url: str
    status: int = 200
    ca_file: str | None = None
    resolve: str | None = None
    """host:port:address, where the name must not depend on the node's own resolution."""

    def line(self) -> str:
        """The probe as `wait.sh` reads it."""
        return "\t".join([str(self.status), self.url, self.ca_file or "-", self.resolve or "-"])


def ready(
    name: str,
    *,
    node: Node,
    probes: Sequence[Probe],
    seconds: int,
    triggers: Sequence[pulumi.Input[str]],
    opts: pulumi.ResourceOptions,
) -> command.remote.Command:
    """Waits at most `seconds` for all probes; runs again when one of `triggers` changes."""
    return command.remote.Command(
        name,
        connection=node.access.connection(),
        create=as_root(WAIT, str(seconds), user=node.access.user),
        stdin="".join(f"{probe.line()}\n" for probe in probes),
        triggers=list(triggers),
        add_previous_output_in_env=False,
        opts=opts,
    )
