"""A lab node seen from the deploy host: its processes, its addresses, its port on the lab's bridge.

All of it works from outside, so that a fault takes effect at once and can be undone although nothing inside answers.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from config import naming
from operations.errors import BerthError
from operations.inspect.expected import Desired

PROC = Path("/proc")
LOCAL = re.compile(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL")
COMMAND_SECONDS = 60


@dataclass(frozen=True)
class LabNode:
    """One node: a container on this machine."""

    name: str
    container: str
    address: str = ""
    roles: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    """Containers that belong on it."""

    def inside(self, *command: str, stdin: str = "") -> str:
        """Run a command in the node; its standard output."""
        return _run("docker", "exec", "-i", self.container, *command, stdin=stdin)

    def init(self) -> int:
        """The node's PID 1 as this machine numbers it."""
        pid = int(_run("docker", "inspect", "--format", "{{.State.Pid}}", self.container))
        if not pid:
            raise BerthError(f"The lab node {self.name} does not run: docker start {self.container}")
        return pid

    def main_process(self, service: str) -> int:
        """The first process of a service's container, as this machine numbers it."""
        own = int(self.inside("docker", "inspect", "--format", "{{.State.Pid}}", service))
        init = self.init()
        level = len(_namespaced(init)) - 1
        for pid in tree(init):
            if own and _namespaced(pid)[level : level + 1] == [own]:
                return pid
        raise BerthError(f"{service} does not run on {self.name}.")

    def daemon(self) -> int:
        """The node's dockerd."""
        for pid in tree(self.init()):
            if _stat(pid)[0] == "dockerd":
                return pid
        raise BerthError(f"No dockerd runs on {self.name}.")

    def resume(self) -> None:
        """Let everything in the node that was stopped go on."""
        for pid in tree(self.init()):
            if _stat(pid)[1] == "T":
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def of_docker(self, verb: str) -> None:
        """Start or kill the node as a whole."""
        _run("docker", verb, self.container)

    def plug(self, passes: bool) -> None:
        """Let the node's port on the lab's bridge pass everything or nothing; its link stays up, as behind a switch.

        By one of the node's own programs in this machine's network: this machine may lack it.
        """
        state = "forwarding" if passes else "disabled"
        enter = ("nsenter", "--target", str(self.init()), "--mount")
        _run(*enter, "bridge", "link", "set", "dev", port(self.init()), "state", state)


def of_stack(desired: Desired, stack: str) -> list[LabNode]:
    """The stack's nodes, in the settings' order."""
    return [
        LabNode(
            name=str(node["name"]),
            container=naming.lab_container(stack, str(node["name"])),
            address=str(node["address"]),
            roles=frozenset(node.get("roles", ())),
            services=frozenset(service.name for service in desired.machines[str(node["name"])].services),
        )
        for node in desired.outputs.get("nodes", [])
    ]


def freeze(first: int) -> None:
    """Stop a process and all that it started, parents first; again until nothing new has slipped through."""
    while running := [pid for pid in tree(first) if _stat(pid)[1] not in "TZX"]:
        for pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)


def tree(first: int) -> list[int]:
    """A process and its descendants, parents first."""
    children: dict[int, list[int]] = {}
    for entry in PROC.glob("[0-9]*"):
        children.setdefault(_parent(int(entry.name)), []).append(int(entry.name))
    return list(_walk(first, children))


def _walk(pid: int, children: Mapping[int, list[int]]) -> Iterator[int]:
    yield pid
    for child in children.get(pid, ()):
        yield from _walk(child, children)


def port(init: int) -> str:
    """The lab bridge's port that a container's eth0 is plugged into."""
    index = (PROC / str(init) / "root/sys/class/net/eth0/iflink").read_text().strip()
    for device in Path("/sys/class/net").iterdir():
        if (device / "ifindex").read_text().strip() == index:
            return device.name
    raise BerthError("A container's network interface has no other end on this machine.")


def addresses(init: int) -> set[str]:
    """The addresses that a network namespace answers for, read without entering it."""
    return set(LOCAL.findall((PROC / str(init) / "net/fib_trie").read_text()))


def _stat(pid: int) -> tuple[str, str, int]:
    """Name, state and parent; a process that has gone is a dead one."""
    try:
        before, _, after = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")
    except OSError:
        return "", "X", 0
    state, parent, *_ = after.split()
    return before.partition("(")[2], state, int(parent)


def _parent(pid: int) -> int:
    return _stat(pid)[2]


def _namespaced(pid: int) -> list[int]:
    """The process's numbers, from this machine's namespace to its own."""
    try:
        status = (PROC / str(pid) / "status").read_text()
    except OSError:
        return []
    return [int(word) for line in status.splitlines() if line.startswith("NSpid:") for word in line.split()[1:]]


def _run(*command: str, stdin: str = "") -> str:
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise BerthError(f"No answer within {COMMAND_SECONDS} s: {' '.join(command)}") from None
    if done.returncode:
        raise BerthError(f"{' '.join(command)}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout.strip()
