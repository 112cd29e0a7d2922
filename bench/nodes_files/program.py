"""The bench's Pulumi program: the six items on every host, one resource a host. Copied into a project of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from components.lib.host_files.bundle import Block, Directive, Entry, File
from components.lib.host_files.connection import SshEndpoint
from components.lib.host_files.host_state import host_state


@dataclass(frozen=True)
class Host:
    """A host that is there already."""

    access: SshEndpoint
    machine: None = None


def main() -> None:
    """Declare every host's state."""
    here = Path.cwd()
    bench: dict[str, Any] = json.loads((here / "bench.json").read_text())
    private_key = pulumi.Output.secret(Path(bench["key_file"]).read_text())
    entries: list[Entry] = [
        *(File(path, (here / "desired" / name).read_text()) for name, path in bench["files"].items()),
        Block(bench["block"], (here / "desired" / "hosts.block").read_text()),
        Directive("package", [bench["package"]]),
        Directive("service", [bench["service"]]),
        # Nothing on the host depends on this line; another value asks every host anew.
        Directive("machine", [bench["asked"]]),
    ]
    for host in bench["hosts"]:
        access = SshEndpoint(host["address"], 22, "root", host["host_key"], private_key)
        host_state(
            host["name"],
            stack="bench",
            stage="nodes",
            node=Host(access),
            entries=entries,
            scripts=[Path(bench["stage_script"])],
            opts=pulumi.ResourceOptions(),
        )


main()
