"""What etcd's members and the swarm's nodes report, with a name for each field of the probe's lines."""

from __future__ import annotations

from dataclasses import dataclass

from operations.inspect.reports import Report


@dataclass(frozen=True)
class EtcdStatus:
    """One line of `etcdctl endpoint status`."""

    version: str
    db_size: str
    is_leader: bool
    errors: tuple[str, ...]
    """Alarms among them."""


@dataclass(frozen=True)
class EtcdMember:
    """One line of `etcdctl member list`."""

    name: str
    """Empty where the member has not started yet."""
    peer_urls: str
    is_learner: bool


@dataclass(frozen=True)
class EtcdFacts:
    """What one member reports."""

    health: str
    """`healthy`, or what its health page says; empty without an answer."""
    status: EtcdStatus | None
    members: tuple[EtcdMember, ...]
    reads: dict[str, str]
    """Kind of read -> `yes`, or why not."""

    @property
    def is_healthy(self) -> bool:
        return self.health == "healthy"

    @classmethod
    def of(cls, report: Report) -> EtcdFacts:
        """From a node's report."""
        statuses = [
            # After the leader: learner, term, index, applied index, errors; etcd 3.3 ends with the index.
            EtcdStatus(version, size, leader == "true", tuple(rest[4:]))
            for _url, _id, version, size, leader, *rest in _lines(report, "etcd", "status")
        ]
        members = [
            EtcdMember(name, peer_urls, learner == "true")
            for _id, _state, name, peer_urls, *_, learner in _lines(report, "etcd", "member")
        ]
        health = next((" ".join(values) for values in _lines(report, "etcd", "health")), "")
        reads = {kind: result for kind, *_, result in _lines(report, "etcd", "read")}
        return cls(health, statuses[0] if statuses else None, tuple(members), reads)


@dataclass(frozen=True)
class SwarmNode:
    """One line of `docker node ls`."""

    hostname: str
    status: str
    manager_status: str
    """Empty for a worker."""


@dataclass(frozen=True)
class SwarmFacts:
    """What one node's Docker reports of the swarm."""

    state: str
    """`LocalNodeState` of `docker info`; empty without an answer."""
    is_manager: bool
    error: str
    nodes: tuple[SwarmNode, ...]
    """Only a manager sees them."""
    networks: tuple[str, ...]

    @classmethod
    def of(cls, report: Report) -> SwarmFacts:
        """From a node's report."""
        states = _lines(report, "swarm", "state")
        state, control, *error = states[0] if states else ("", "")
        return cls(
            state=state,
            is_manager=control == "true",
            error=" ".join(error),
            nodes=tuple(
                SwarmNode(hostname, status, manager)
                for hostname, status, _availability, manager in _lines(report, "swarm", "node")
            ),
            networks=tuple(name for name, *_ in _lines(report, "swarm", "network")),
        )


def _lines(report: Report, cluster: str, word: str) -> list[list[str]]:
    """The operands of every line `CLUSTER WORD ...`."""
    return [values for kind, *values in report.answers.get(cluster, []) if kind == word]
