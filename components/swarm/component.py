"""The swarm: nodes removed before Docker is touched; then nodes that join, and the networks between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import pulumi
import pulumi_command as command

from components.lib.host_files.shell import as_root
from components.nodes.component import Nodes
from components.nodes.node import Node
from components.swarm.args import SwarmArgs, SwarmPruneArgs
from components.swarm.render import TEXTS, Line, Member, arranged, joining, question, roster, text, tokens


class SwarmPrune(pulumi.ComponentResource):
    """On every manager: removes nodes that have no role any more or whose machine is lost, and prints the join tokens.

    It runs before the daemons are configured: live-restore is refused on a node that is still in a swarm.
    """

    resources: list[pulumi.Resource]
    join_tokens: dict[str, pulumi.Output[str]]
    """What each manager printed, by its address; empty where it manages no swarm yet."""

    def __init__(self, name: str, args: SwarmPruneArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:swarm:SwarmPrune", name, None, opts)
        self.resources, self.join_tokens = [], {}
        members = _nodes(args.nodes)
        stdin = _roster(members).apply(text)
        for node in args.nodes.with_role("swarm-manager"):
            pruned = _secretly(f"{name}-{node.name}", node, "prune_members", [], stdin, parent=self)
            self.resources.append(pruned)
            self.join_tokens[node.address] = pulumi.Output.secret(pruned.stdout)
        self.register_outputs({})


class Swarm(pulumi.ComponentResource):
    """Managers one after the other, then workers; without nodes of these roles there is nothing of it."""

    def __init__(self, name: str, args: SwarmArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:swarm:Swarm", name, None, opts)
        managers = args.nodes.with_role("swarm-manager")
        if managers:
            self._build(name, args, managers)
        self.register_outputs({})

    def _build(self, name: str, args: SwarmArgs, managers: tuple[Node, ...]) -> None:
        settings = args.settings.swarm
        members = _nodes(args.nodes)
        everybody = _roster(members)
        join_tokens: Mapping[str, pulumi.Output[str]] = args.join_tokens
        before: list[pulumi.Resource] = []
        joined: list[pulumi.Resource] = []
        for node in members:
            own = _member(node)
            lines = [*joining(own, settings), *question(settings if own.is_manager else None)]
            first = node is managers[0]
            member = _secretly(
                f"{name}-{node.name}",
                node,
                "member",
                ["first" if first else "next"],
                pulumi.Output.all(everybody, pulumi.Output.all(**join_tokens)).apply(partial(_joining, lines)),
                parent=self,
                depends_on=[args.daemons.nodes[node.name].ready, *before],
                leaves=True,
            )
            if first:
                join_tokens = {node.address: pulumi.Output.secret(member.stdout)}
            if own.is_manager:
                # One at a time: each that joins changes what a majority is.
                before = [member]
            joined.append(member)
        _secretly(
            f"{name}-converged",
            managers[0],
            "converge",
            [args.settings.stack],
            everybody.apply(lambda known: text([*known, *arranged(settings)])),
            parent=self,
            depends_on=joined,
        )


def _nodes(nodes: Nodes) -> list[Node]:
    """Managers first."""
    return [*nodes.with_role("swarm-manager"), *nodes.with_role("swarm-worker")]


def _member(node: Node) -> Member:
    return Member(node.name, node.address, "swarm-manager" in node.settings.roles)


def _roster(nodes: Sequence[Node]) -> pulumi.Output[list[Line]]:
    machines = [node.machine.id if node.machine else node.access.host_key for node in nodes]
    return pulumi.Output.all(*machines).apply(partial(roster, [_member(node) for node in nodes]))


def _joining(lines: Sequence[Line], known: tuple[list[Line], Mapping[str, str]]) -> str:
    everybody, join_tokens = known
    return text([*everybody, *lines]) + tokens(join_tokens)


def _secretly(
    name: str,
    node: Node,
    task: str,
    arguments: Sequence[str],
    stdin: pulumi.Input[str],
    *,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource] = (),
    leaves: bool = False,
) -> command.remote.Command:
    """A script on a node whose output holds tokens: it is neither logged nor readable in the state."""
    options = node.options(parent, *depends_on)
    options.additional_secret_outputs = ["stdout"]
    return command.remote.Command(
        name,
        connection=node.access.connection(),
        create=as_root(TEXTS[task], *arguments, user=node.access.user),
        delete=as_root(TEXTS["leave"], user=node.access.user) if leaves else None,
        stdin=stdin,
        logging=command.remote.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=options,
    )
