"""The replicas that the balancers ask: out before one is replaced, in again when it is ready."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pulumi
import pulumi_command as command

from components.lib.host_files.shell import as_root, script
from components.load_balancer.render import status_url
from components.nodes.node import Node
from config import naming

_FOLDER = Path(__file__).parent / "scripts"
TEXT = script(_FOLDER / "reload.sh", _FOLDER / "pool.sh")


class Pool:
    """All balancers at once. Nothing is undone when a step is deleted: a balancer's own files say who is in."""

    def __init__(self, balancers: Sequence[Node], registry: str, ready: pulumi.Resource) -> None:
        self._balancers = balancers
        self._registry = registry
        self._ready = ready

    def take_out(
        self,
        name: str,
        address: str,
        *,
        triggers: Sequence[pulumi.Input[str]],
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> list[pulumi.Resource]:
        """No balancer sends a new request to the replica; what it is in the middle of goes on."""
        return self._step("out", name, address, triggers, parent, depends_on)

    def put_back(
        self,
        name: str,
        address: str,
        *,
        triggers: Sequence[pulumi.Input[str]],
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> list[pulumi.Resource]:
        """Every balancer waits until the replica answers from its storage, and sends it requests again."""
        return self._step("in", name, address, triggers, parent, depends_on)

    def _step(
        self,
        verb: str,
        name: str,
        address: str,
        triggers: Sequence[pulumi.Input[str]],
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource],
    ) -> list[pulumi.Resource]:
        port, replica = str(naming.REGISTRY_REPLICA_PORT), naming.replica_name(self._registry)
        return [
            command.remote.Command(
                f"{name}-{node.name}",
                connection=node.access.connection(),
                create=as_root(TEXT, verb, address, port, replica, status_url(), user=node.access.user),
                triggers=list(triggers),
                add_previous_output_in_env=False,
                opts=node.options(parent, self._ready, *depends_on),
            )
            for node in self._balancers
        ]
