"""What the probe reports about a machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ContainerFact:
    """One of Berth's containers as Docker reports it."""

    service: str
    name: str
    image: str
    state: str
    health: str
    restarts: int
    version: str
    id: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    """`Config` of `docker inspect`."""
    host: Mapping[str, Any] = field(default_factory=dict)
    """Its `HostConfig`."""
    reason: str = ""
    """Output of the health check that was repeated because Docker called the container unhealthy."""

    @property
    def is_healthy(self) -> bool:
        # Docker reports "starting" until the first check, which comes a minute after the start.
        return self.state == "running" and self.health != "unhealthy"

    @property
    def condition(self) -> str:
        """State and health as text."""
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
    """A file on the node; what could not be read is empty."""

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
    """Seconds between its clock and this machine's, beyond the query's own duration."""
    units: dict[str, UnitFact] = field(default_factory=dict)
    """Docker's, by name; none without systemd."""
    journals: dict[str, JournalFact] = field(default_factory=dict)
    docker: str | None = None
    """The daemon's version, None where it does not answer."""
    docker_error: str = ""
    containers: dict[str, ContainerFact] = field(default_factory=dict)
    disks: list[DiskFact] = field(default_factory=list)
    files: dict[str, FileFact] = field(default_factory=dict)
    """Existing files by path."""
    blocks: dict[str, str] = field(default_factory=dict)
    """sha256, `missing` or `unreadable`"""
    served: dict[tuple[str, int], str] = field(default_factory=dict)
    """sha256 of the certificate served at an address and port, or in brackets why there is none."""
    info: list[str] = field(default_factory=list)
    urls: dict[str, tuple[str, str]] = field(default_factory=dict)
    resolves: dict[str, str] = field(default_factory=dict)
    holds: frozenset[str] = frozenset()
    """Those of the queried addresses that this machine holds."""
    answers: dict[str, list[list[str]]] = field(default_factory=dict)
    """Results of the stages' own queries, by their first word."""
    trust: str = ""
    """The CA file that Docker reads for the registry, PEM."""

    @property
    def firewall(self) -> str:
        """State of the node's table of nftables: `in force`, or what is wrong with it."""
        return " ".join(self.answers.get("firewall", [["not told"]])[0])
