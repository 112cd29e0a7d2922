"""The nodes' identity at the mirror port, and the files that their engines read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi

from components.lib.host_files.bundle import Entry
from components.lib.host_files.host_state import host_state
from components.registry_client.args import RegistryClientsArgs
from components.registry_client.render import STAGE, Identity, entries

SCRIPTS = (Path(__file__).parent / "scripts" / "client.sh",)


class RegistryClients(pulumi.ComponentResource):
    """Login and ways on every node; engines read them on each pull, so nothing is reloaded."""

    def __init__(self, name: str, args: RegistryClientsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:registry-client:RegistryClients", name, None, opts)
        settings = args.settings
        user = settings.registry.node_user
        if user or settings.registry.upstreams:
            known = pulumi.Output.all(
                args.authority.certificate,
                args.mirror.certificate,
                args.mirror.key,
                args.accounts.account(user).password if user else None,
            )

            def render(values: list[Any]) -> list[Entry]:
                ca, certificate, key, password = values
                return entries(settings, ca, Identity(certificate, key), password)

            for on in args.daemons.on(args.nodes.all):
                host_state(
                    f"{name}-{on.node.name}",
                    stack=settings.stack,
                    stage=STAGE,
                    node=on.node,
                    entries=known.apply(render),
                    scripts=SCRIPTS,
                    opts=on.node.options(self, on.ready, args.balancer.ready),
                )
        self.register_outputs({})
