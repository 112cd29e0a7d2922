"""The catalogue: what each fault does, to whom, how it is undone, and what is expected meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from config.naming import VIRTUAL_ADDRESS_STAGE, service_container
from operations.drill.lab_node import LabNode, freeze
from operations.errors import UsageError

DRIVE_SCRIPT = Path(__file__).parent / "scripts" / "drive.sh"
STORE = service_container("object-store")


@dataclass(frozen=True)
class Strike:
    """A fault as it strikes: which nodes, which container on them, and where the object store keeps its data."""

    nodes: Sequence[LabNode]
    service: str
    data_directory: str

    def drive(self, what: str) -> None:
        """Have the script do something to the object store's drive of every node."""
        for node in self.nodes:
            node.inside("sh", "-s", what, self.data_directory, STORE, stdin=DRIVE_SCRIPT.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Fault:
    """One rehearsed fault."""

    name: str
    does: str
    begin: Callable[[Strike], None]
    service: str = ""
    """The container that a node must have to be chosen; a pattern."""
    end: Callable[[Strike], None] | None = None
    """Undoes it, also when it began only half-way or was undone before. None where the lab mends it by itself."""
    at_address: bool = False
    """Every other round strikes the node that holds the virtual address."""
    nodes: int = 1
    refuses_writes: bool = False
    """Pushes have to fail while it lasts, with an error and in bounded time."""
    mended: Callable[[Strike], None] | None = None
    """Raises as long as more than the services has to become healthy."""


def _kill(strike: Strike) -> None:
    for node in strike.nodes:
        os.kill(node.main_process(strike.service), signal.SIGKILL)


def _pause(strike: Strike) -> None:
    for node in strike.nodes:
        freeze(node.main_process(strike.service))


def _kill_daemon(strike: Strike) -> None:
    for node in strike.nodes:
        os.kill(node.daemon(), signal.SIGKILL)


def _pause_daemon(strike: Strike) -> None:
    for node in strike.nodes:
        os.kill(node.daemon(), signal.SIGSTOP)


def _kill_node(strike: Strike) -> None:
    for node in strike.nodes:
        node.of_docker("kill")


def _pause_node(strike: Strike) -> None:
    for node in strike.nodes:
        freeze(node.init())


def _resume(strike: Strike) -> None:
    for node in strike.nodes:
        node.resume()


def _start_node(strike: Strike) -> None:
    for node in strike.nodes:
        node.of_docker("start")


def _cut(strike: Strike) -> None:
    for node in strike.nodes:
        node.plug(False)


def _plug(strike: Strike) -> None:
    for node in strike.nodes:
        node.plug(True)


def _stop(strike: Strike) -> None:
    for node in strike.nodes:
        node.inside("docker", "kill", strike.service)


def _start(strike: Strike) -> None:
    for node in strike.nodes:
        node.inside("docker", "start", strike.service)


def _wipe(strike: Strike) -> None:
    strike.drive("wipe")


def _full(strike: Strike) -> None:
    strike.drive("full")


def _empty_again(strike: Strike) -> None:
    strike.drive("back")


def _healed(strike: Strike) -> None:
    strike.drive("healed")


def _of_service(word: str, title: str, service: str, at_address: bool = False) -> list[Fault]:
    """Kill and pause of one service's container."""
    pattern = service_container(service)
    return [
        Fault(f"kill-{word}", f"kill -9 of {title}", _kill, pattern, at_address=at_address),
        Fault(f"pause-{word}", f"all processes of {title} stop", _pause, pattern, _resume, at_address),
    ]


CATALOGUE = [
    *_of_service("nginx", "nginx", "load-balancer", at_address=True),
    *_of_service("keepalived", "keepalived", VIRTUAL_ADDRESS_STAGE, at_address=True),
    *_of_service("replica", "a registry replica", "registry"),
    *_of_service("cache", "an upstream's cache", "cache-*"),
    *_of_service("minio", "a MinIO server", "object-store"),
    Fault("kill-dockerd", "kill -9 of a node's dockerd", _kill_daemon),
    Fault("pause-dockerd", "a node's dockerd stops", _pause_daemon, end=_resume),
    Fault("kill-node", "a node loses its power and is started again", _kill_node, end=_start_node, at_address=True),
    Fault("pause-node", "every process of a node stops", _pause_node, end=_resume, at_address=True),
    Fault("cut-network", "a node's port on the switch passes nothing", _cut, end=_plug, at_address=True),
    Fault("wipe-drive", "everything on a MinIO server's drive is deleted", _wipe, STORE, mended=_healed),
    # MinIO spreads every object over all drives and asks first whether each of them has room.
    Fault("full-drive", "a MinIO server's drive has no byte left", _full, STORE, _empty_again, refuses_writes=True),
    Fault("two-minio-down", "two MinIO servers are down", _stop, STORE, _start, nodes=2, refuses_writes=True),
]


def named(name: str) -> Fault:
    """The fault of that name."""
    return next(fault for fault in CATALOGUE if fault.name == name)


def choose(wanted: Sequence[str]) -> list[Fault]:
    """The faults that match any of the names or patterns, in the catalogue's order; all without any."""
    unknown = [word for word in wanted if not any(fnmatch(fault.name, word) for fault in CATALOGUE)]
    if unknown:
        known = ", ".join(fault.name for fault in CATALOGUE)
        raise UsageError(f"There is no fault '{unknown[0]}'. There are: {known}.")
    return [fault for fault in CATALOGUE if not wanted or any(fnmatch(fault.name, word) for word in wanted)]


def possible(fault: Fault, nodes: Sequence[LabNode]) -> list[tuple[LabNode, str]]:
    """Whom the fault can strike: nodes, with the container on each that it is about."""
    if not fault.service:
        return [(node, "") for node in nodes]
    return [(node, name) for node in nodes for name in sorted(node.services) if fnmatch(name, fault.service)]


def targets(fault: Fault, nodes: Sequence[LabNode], round_: int, holder: str) -> tuple[list[LabNode], str] | None:
    """Whom it strikes in this round, in turns; None where the stack has nothing that it could strike.

    A fault that matters most where the virtual address is strikes there in even rounds, elsewhere in odd ones.
    """
    choice = possible(fault, nodes)
    if fault.at_address:
        here = [pair for pair in choice if pair[0].name == holder]
        elsewhere = [pair for pair in choice if pair[0].name != holder]
        choice = here or elsewhere if round_ % 2 == 0 else elsewhere or here
        round_ //= 2
    if len(choice) < fault.nodes:
        return None
    struck = [choice[(round_ + number) % len(choice)] for number in range(fault.nodes)]
    return [node for node, _ in struck], struck[0][1]
