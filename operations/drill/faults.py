"""The catalogue of faults: how each is injected, on which nodes, how it is undone, and what is expected meanwhile."""

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
class Injection:
    """One injection of a fault: on which nodes, which container on them, and where the object store keeps its data."""

    nodes: Sequence[LabNode]
    service: str
    data_directory: str

    def drive(self, what: str) -> None:
        """Run a command of the script on the object store's drive of every node."""
        for node in self.nodes:
            node.inside("sh", "-s", what, self.data_directory, STORE, stdin=DRIVE_SCRIPT.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Fault:
    """One kind of fault."""

    name: str
    does: str
    inject: Callable[[Injection], None]
    service: str = ""
    """The container that a node must have to be chosen; a pattern."""
    undo: Callable[[Injection], None] | None = None
    """Undoes it, even if it was injected only in part or was undone before. None where the lab recovers by itself."""
    targets_vip: bool = False
    """Every other round targets the node that holds the virtual IP address (VIP)."""
    nodes: int = 1
    refuses_writes: bool = False
    """Pushes have to fail while it lasts, with an error and in bounded time."""
    recovered: Callable[[Injection], None] | None = None
    """Raises while something besides the services has not recovered yet."""


def _kill(injection: Injection) -> None:
    for node in injection.nodes:
        os.kill(node.main_process(injection.service), signal.SIGKILL)


def _pause(injection: Injection) -> None:
    for node in injection.nodes:
        freeze(node.main_process(injection.service))


def _kill_daemon(injection: Injection) -> None:
    for node in injection.nodes:
        os.kill(node.daemon(), signal.SIGKILL)


def _pause_daemon(injection: Injection) -> None:
    for node in injection.nodes:
        os.kill(node.daemon(), signal.SIGSTOP)


def _kill_node(injection: Injection) -> None:
    for node in injection.nodes:
        node.of_docker("kill")


def _pause_node(injection: Injection) -> None:
    for node in injection.nodes:
        freeze(node.init())


def _resume(injection: Injection) -> None:
    for node in injection.nodes:
        node.resume()


def _start_node(injection: Injection) -> None:
    for node in injection.nodes:
        node.of_docker("start")


def _cut(injection: Injection) -> None:
    for node in injection.nodes:
        node.plug(False)


def _plug(injection: Injection) -> None:
    for node in injection.nodes:
        node.plug(True)


def _stop(injection: Injection) -> None:
    for node in injection.nodes:
        node.inside("docker", "kill", injection.service)


def _start(injection: Injection) -> None:
    for node in injection.nodes:
        node.inside("docker", "start", injection.service)


def _wipe(injection: Injection) -> None:
    injection.drive("wipe")


def _full(injection: Injection) -> None:
    injection.drive("full")


def _empty_again(injection: Injection) -> None:
    injection.drive("back")


def _healed(injection: Injection) -> None:
    injection.drive("healed")


def _of_service(word: str, title: str, service: str, targets_vip: bool = False) -> list[Fault]:
    """Kill and pause of one service's container."""
    pattern = service_container(service)
    return [
        Fault(f"kill-{word}", f"kill -9 of {title}", _kill, pattern, targets_vip=targets_vip),
        Fault(f"pause-{word}", f"all processes of {title} stop", _pause, pattern, _resume, targets_vip),
    ]


CATALOGUE = [
    *_of_service("nginx", "nginx", "load-balancer", targets_vip=True),
    *_of_service("keepalived", "keepalived", VIRTUAL_ADDRESS_STAGE, targets_vip=True),
    *_of_service("replica", "a registry replica", "registry"),
    *_of_service("cache", "an upstream's cache", "cache-*"),
    *_of_service("minio", "a MinIO server", "object-store"),
    Fault("kill-dockerd", "kill -9 of a node's dockerd", _kill_daemon),
    Fault("pause-dockerd", "a node's dockerd stops", _pause_daemon, undo=_resume),
    Fault("kill-node", "a node loses its power and is started again", _kill_node, undo=_start_node, targets_vip=True),
    Fault("pause-node", "every process of a node stops", _pause_node, undo=_resume, targets_vip=True),
    Fault("cut-network", "a node's port on the switch passes nothing", _cut, undo=_plug, targets_vip=True),
    Fault("wipe-drive", "everything on a MinIO server's drive is deleted", _wipe, STORE, recovered=_healed),
    # MinIO spreads every object over all drives and asks first whether each of them has room.
    Fault("full-drive", "a MinIO server's drive has no byte left", _full, STORE, _empty_again, refuses_writes=True),
    Fault("two-minio-down", "two MinIO servers are down", _stop, STORE, _start, nodes=2, refuses_writes=True),
]


def named(name: str) -> Fault:
    """The fault of that name."""
    return next(fault for fault in CATALOGUE if fault.name == name)


def choose(patterns: Sequence[str]) -> list[Fault]:
    """The faults that match any of the names or patterns, in the catalogue's order; all if there are none."""
    unknown = [word for word in patterns if not any(fnmatch(fault.name, word) for fault in CATALOGUE)]
    if unknown:
        known = ", ".join(fault.name for fault in CATALOGUE)
        raise UsageError(f"There is no fault '{unknown[0]}'. There are: {known}.")
    return [fault for fault in CATALOGUE if not patterns or any(fnmatch(fault.name, word) for word in patterns)]


def possible(fault: Fault, nodes: Sequence[LabNode]) -> list[tuple[LabNode, str]]:
    """Possible targets: nodes, each with the container that the fault affects."""
    if not fault.service:
        return [(node, "") for node in nodes]
    return [(node, name) for node in nodes for name in sorted(node.services) if fnmatch(name, fault.service)]


def targets(fault: Fault, nodes: Sequence[LabNode], round_: int, holder: str) -> tuple[list[LabNode], str] | None:
    """The targets of this round, in turns; None where the stack has none.

    A fault that matters most at the virtual address targets its holder in even rounds, other nodes in odd ones.
    """
    choice = possible(fault, nodes)
    if fault.targets_vip:
        here = [pair for pair in choice if pair[0].name == holder]
        elsewhere = [pair for pair in choice if pair[0].name != holder]
        choice = here or elsewhere if round_ % 2 == 0 else elsewhere or here
        round_ //= 2
    if len(choice) < fault.nodes:
        return None
    affected = [choice[(round_ + number) % len(choice)] for number in range(fault.nodes)]
    return [node for node, _ in affected], affected[0][1]
