"""Berth's table on every node that a service of Berth's listens on, all nodes at once."""

from __future__ import annotations

from pathlib import Path

import pulumi

from components.firewall.args import FirewallArgs
from components.firewall.render import STAGE, entries, rules_of
from components.lib.host_files.host_state import host_state
from components.lib.host_files.shell import MACHINE_SCRIPT

SCRIPTS = [MACHINE_SCRIPT, *(Path(__file__).parent / "scripts" / f"{name}.sh" for name in ("in_force", "firewall"))]


class Firewall(pulumi.ComponentResource):
    """Nothing where the settings leave it to somebody else."""

    done: list[pulumi.Resource]
    """Done when every node's table is in force: before that no service starts, and no node asks another one."""

    def __init__(self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:firewall:Firewall", name, None, opts)
        self.done = []
        for node in args.nodes.all:
            rules = rules_of(args.settings, node.settings)
            if rules is not None:
                self.done.append(
                    host_state(
                        f"{name}-{node.name}",
                        stack=args.settings.stack,
                        stage=STAGE,
                        node=node,
                        entries=entries(rules),
                        scripts=SCRIPTS,
                        opts=node.options(self),
                    )
                )
        self.register_outputs({})
