"""The swarm: who leaves, before Docker is touched; then who joins, and what they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pulumi
import pulumi_command as command

from components.nodes import Node, Nodes
from components.remote import as_root
from components.swarm.args import RollCallArgs, SwarmArgs
from components.swarm.render import Line, Member, arranged, joining, question, roster, text, tokens

SCRIPTS = Path(__file__).parent / "scripts"


class RollCall(pulumi.ComponentResource):
    """Every manager is asked what it knows, and lets those go who have no role any more or whose machine is lost.

    It comes before the daemons: one that is to keep its containers over a restart may be in no swarm.
    """

    done: list[pulumi.Resource]
    said: dict[str, pulumi.Output[str]]
    """The tokens as each manager told them, by its address; empty where it manages no swarm yet."""

    def __init__(self, name: str, args: RollCallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:swarm:RollCall", name, None, opts)
        self.done, self.said = [], {}
        members = _nodes(args.nodes)
        stdin = _roster(members).apply(text)
        for node in args.nodes.with_role("swarm-manager"):
            asked = _secretly(f"{name}-{node.name}", node, "rollcall", [], stdin, parent=self)
            self.done.append(asked)
            self.said[node.address] = pulumi.Output.secret(asked.stdout)
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
        said: Mapping[str, pulumi.Output[str]] = args.roll_call.said
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
                pulumi.Output.all(everybody, pulumi.Output.all(**said)).apply(partial(_joining, lines)),
                parent=self,
                depends_on=[args.daemons.nodes[node.name].ready, *before],
                leaves=True,
            )
            if first:
                said = {node.address: pulumi.Output.secret(member.stdout)}
            if own.is_manager:
                # One at a time: each that joins changes what a majority is.
                before = [member]
            joined.append(member)
        _secretly(
            f"{name}-settled",
            managers[0],
            "settle",
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
    everybody, said = known
    return text([*everybody, *lines]) + tokens(said)


def _secretly(
    name: str,
    node: Node,
    script: str,
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
        create=as_root(_script(script), *arguments, user=node.access.user),
        delete=as_root(_script("leave"), user=node.access.user) if leaves else None,
        stdin=stdin,
        logging=command.remote.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=options,
    )


def _script(name: str) -> str:
    return "".join((SCRIPTS / f"{part}.sh").read_text(encoding="utf-8") for part in ("swarm", name))
