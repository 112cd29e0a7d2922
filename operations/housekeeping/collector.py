"""The garbage collector of a stack, as the deploy host commands it: in the first of its containers that answers."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.garbage_collection import render
from config.naming import COLLECTOR_STAGE
from operations import ssh
from operations.errors import BerthError, UsageError
from operations.inspect.expected import Desired
from operations.pulumi.session import Session

PROGRAM = "/bin/registry"
ENDINGS = ("refused", "failed")
Event = Mapping[str, Any]


class Unreachable(BerthError):
    """Another one may answer."""


@dataclass(frozen=True)
class Collector:
    """One of them, and the command line that runs a command there as root."""

    node: str
    container: str
    prefix: Sequence[str]

    def ask(self, words: Sequence[str], report: Callable[[Event], None]) -> Event:
        """The last line of a command, its progress reported meanwhile; raises `Unreachable` if there is none."""
        remote = shlex.join(["docker", "exec", self.container, PROGRAM, *render.command(*words)])
        last, said = None, ""
        with subprocess.Popen(
            [*self.prefix, remote],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            for line in process.stdout or ():
                found = _event(line)
                if found is None:
                    said = line.strip() or said
                    continue
                last = found
                if found.get("event") == "progress":
                    report(found)
        if last is None:
            raise Unreachable(f"{self.node}: {said or 'it answers nothing'}")
        if process.returncode and last.get("event") not in ENDINGS:
            raise BerthError(f"The connection to {self.node} was lost; its run may go on: see ./berth gc --status.")
        return last


def _event(line: str) -> Event | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def collectors(session: Session, desired: Desired) -> list[Collector]:
    """Every collector, in the settings' order."""
    hosts = ssh.hosts(session.workspace, desired.outputs)
    found = []
    for host in hosts:
        machine = desired.machines.get(host.name)
        names = [one.name for one in machine.services if one.service == COLLECTOR_STAGE] if machine else []
        if names:
            prefix = ssh.root_prefix(session.workspace, session.stack, hosts, host)
            found.append(Collector(host.name, names[0], prefix))
    if not found:
        raise UsageError(
            f"{session.stack} has no garbage collector: berth:registry.garbageCollection.enabled is false, or "
            "images.registry is not Berth's own, or it was not deployed since: ./berth up."
        )
    return found


def ask(every: Sequence[Collector], words: Sequence[str], report: Callable[[Event], None]) -> Event:
    """The answer of the first that can be reached; what it refuses or cannot do is an error in its words."""
    problems = []
    for one in every:
        try:
            answer = one.ask(words, report)
        except Unreachable as problem:
            problems.append(str(problem))
            continue
        if answer.get("event") in ENDINGS:
            raise BerthError(f"{one.node}: {answer.get('reason', 'no reason given')}.")
        return {key: value for key, value in answer.items() if key != "event"}
    raise BerthError("No garbage collector can be reached (./berth status):\n" + "\n".join(problems))
