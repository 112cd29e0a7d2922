"""One stage's desired state of one machine as one resource: a single handshake, a readable diff."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import pulumi
import pulumi_command as command

from components.lib.host_files.bundle import Directive, Entry, render
from components.lib.host_files.connection import SshEndpoint
from components.lib.host_files.shell import apply_stage, remove_stage, stage_script

Entries = pulumi.Input[Sequence[Entry]]


class Reachable(Protocol):
    """What a stage must know of a node to write to it."""

    @property
    def access(self) -> SshEndpoint: ...

    @property
    def machine(self) -> pulumi.CustomResource | None: ...


def host_state(
    name: str,
    *,
    stack: str,
    stage: str,
    node: Reachable,
    entries: Entries,
    opts: pulumi.ResourceOptions,
    scripts: Sequence[Path] = (),
) -> command.remote.Command:
    """A stage's bundle on a node over SSH; `scripts` add what the stage does when something changed."""
    access = node.access
    wanted = pulumi.Output.from_input(entries)
    if node.machine is None:
        stdin = wanted.apply(render)
    else:
        # A machine that was made anew is another id: everything is applied to it again.
        stdin = pulumi.Output.all(wanted, node.machine.id).apply(
            lambda two: render([*two[0], Directive("machine", [two[1]])])
        )
    return command.remote.Command(
        name,
        connection=access.connection(),
        create=apply_stage(stage_script(*scripts), stack, stage, access.user),
        delete=remove_stage(stack, stage, access.user),
        stdin=stdin,
        add_previous_output_in_env=False,
        opts=opts,
    )


def local_state(
    name: str, *, stack: str, stage: str, user: str, entries: Entries, opts: pulumi.ResourceOptions
) -> command.local.Command:
    """The same on the deploy host itself."""
    return command.local.Command(
        name,
        create=apply_stage(stage_script(), stack, stage, user),
        delete=remove_stage(stack, stage, user),
        stdin=pulumi.Output.from_input(entries).apply(render),
        add_previous_output_in_env=False,
        opts=opts,
    )
