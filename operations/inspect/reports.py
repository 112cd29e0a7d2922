"""What the probe reports about a machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ContainerFact:
    """A container of Berth's as its daemon reports it."""

    service: str
    name: str
    image: str
    state: str
    health: str
    restarts: int
    version: str
    id: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    """As `docker inspect` shows it."""
    host: Mapping[str, Any] = field(default_factory=dict)
    """Likewise, the part about the machine it runs on."""
    reason: str = ""
    """What the health check said that was made when Docker called it unhealthy."""

    @property
    def is_healthy(self) -> bool:
        # Docker says "starting" until the first check, which comes a minute after the start.
        return self.state == "running" and self.health != "unhealthy"

    @property
    def condition(self) -> str:
        """State and health in words."""
        words = self.state if self.health == "-" else f"{self.state}, {self.health}"
        return f"{words}: {self.reason}" if self.reason else words


@dataclass(frozen=True)
class DiskFact:
    """Free space of one file system."""

    mount: str
    free_kib: int
    used: str


@dataclass
class UnitFact:
    """A unit as systemd has it."""

    active: str = ""
    enabled: str = ""
    stale: bool = False
    """Its files changed since systemd read them."""


@dataclass(frozen=True)
class JournalFact:
    """What a unit has written to the journal since it was last started."""

    errors: int
    fatal: int
    """Messages after which a program ends: fatal errors and panics."""
    last: str
    """The last of the fatal ones."""


@dataclass
class FileFact:
    """A file as it lies there; what could not be found out is empty."""

    mode: str = ""
    owners: tuple[str, ...] = ()
    """user:group in names and in numbers."""
    checksum: str = ""


@dataclass
class Report:
    """What one machine reported; `error` and nothing else where it could not be queried."""

    node: str
    error: str | None = None
    os: str = ""
    init: str = ""
    clock: int | None = None
    skew: int = 0
    """Seconds between its clock and this machine's, beyond what the asking itself took."""
    units: dict[str, UnitFact] = field(default_factory=dict)
    """Docker's, by name; none without systemd."""
    journals: dict[str, JournalFact] = field(default_factory=dict)
    docker: str | None = None
    """The daemon's version, None where it does not answer."""
    docker_error: str = ""
    containers: dict[str, ContainerFact] = field(default_factory=dict)
    disks: list[DiskFact] = field(default_factory=list)
    files: dict[str, FileFact] = field(default_factory=dict)
    """Those that are there, by path."""
    blocks: dict[str, str] = field(default_factory=dict)
    """sha256, `missing` or `unreadable`"""
    served: dict[tuple[str, int], str] = field(default_factory=dict)
    """sha256 of the certificate shown at an address and port, or why there was none to see (in brackets)."""
    info: list[str] = field(default_factory=list)
    urls: dict[str, tuple[str, str]] = field(default_factory=dict)
    resolves: dict[str, str] = field(default_factory=dict)
    holds: frozenset[str] = frozenset()
    """Addresses that were asked for and are on this machine now."""
    answers: dict[str, list[list[str]]] = field(default_factory=dict)
    """Answers to the stages' own questions, by the question's first word."""
    trust: str = ""
    """The CA file that Docker reads for the registry, PEM."""
