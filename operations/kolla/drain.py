"""Nodes that leave Kolla: services are stopped before the deployment, containers removed after it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from operations.kolla import deployed, inputs, play
from operations.kolla.environment import environment
from operations.pulumi.follow import new_log
from operations.pulumi.session import Session

SURE = ("--yes-i-really-really-mean-it",)
"""The flag that kolla-ansible requires before it stops or removes anything."""


@contextmanager
def drained(session: Session, desired: play.Inputs, nodes: Sequence[str], log: Callable[[str], None]) -> Iterator[None]:
    """Around the deployment without these nodes, on the inputs of the one that had them.

    A node that does not answer is left as it is: what is lost serves nobody, and nobody can remove it.
    """
    workspace, stack = session.workspace, session.stack
    before = deployed.read(session)
    reached = []
    for node in nodes:
        if before and inputs.on_node(before.access[node], "true").returncode == 0:
            reached.append(node)
        else:
            log(f"{node} does not answer: its services are not stopped, and what it has is not removed")
    if not before or not reached:
        yield
        return
    made = environment(workspace, log)
    then = dataclasses.replace(desired, document=before.document, access=before.access)
    options = ("--limit", ",".join(reached), *SURE)
    with play.inputs_on_disk(deployed.folder(workspace, stack) / "leaving", then, made) as folder:

        def do(step: str) -> None:
            play.raise_if_failed(
                play.play(step, folder, made, new_log(workspace, stack, f"kolla-{step}"), log, options)
            )

        do("stop")
        yield
        do("destroy")
