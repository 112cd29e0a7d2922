"""What verify and status make of what etcd's members and the swarm's managers tell."""

from __future__ import annotations

from typing import Any

import pytest

from operations.inspect import clusters
from operations.inspect.expected import Desired, Machine
from operations.inspect.parser import parse
from operations.inspect.reports import Report

STATUS = "etcd\tstatus\thttps://192.0.2.1{n}:2379\tid{n}\t3.5.16\t20 kB\t{leads}\tfalse\t2\t13\t13\t{errors}"
MEMBER = "etcd\tmember\tid{n}\tstarted\tnode{n}\thttps://192.0.2.1{n}:2380\thttps://192.0.2.1{n}:2379\t{learns}"


def etcd(n: int, health: str = "healthy", agreed: str = "yes", learner: int = 0, errors: str = "") -> Report:
    lines = [f"etcd\thealth\t{health}"]
    if health == "healthy" or errors:
        lines += [STATUS.format(n=n, leads="true" if n == 1 else "false", errors=errors)]
        lines += [MEMBER.format(n=each, learns="true" if each == learner else "false") for each in (1, 2, 3)]
        lines += ["etcd\tread\tserializable\tyes", f"etcd\tread\tlinearizable\t{agreed}"]
    return parse(f"node{n}", [*lines, "end"])


def swarm(n: int, *, state: str = "active\ttrue\t", down: int = 0, leader: int = 1, network: str = "back") -> Report:
    lines = [f"swarm\tstate\t{state}"]
    for each in (1, 2, 3):
        role = "Leader" if each == leader else "Unreachable" if each == down else "Reachable"
        lines.append(f"swarm\tnode\tnode{each}\t{'Down' if each == down else 'Ready'}\tActive\t{role}")
    return parse(f"node{n}", [*lines, f"swarm\tnetwork\t{network} 10.20.1.0/24", "end"])


def wanted(role: str) -> Desired:
    nodes: list[dict[str, Any]] = [{"name": f"node{n}", "roles": [role]} for n in (1, 2, 3)]
    return Desired({"nodes": nodes}, {f"node{n}": Machine(asks=["swarm\tback 10.20.1.0/24"]) for n in (1, 2, 3)})


def wrong(desired: Desired, reports: list[Report]) -> list[tuple[str, str, str]]:
    found = clusters.questions(desired, {report.node: report for report in reports})
    return [(question, node, answer) for question, node, answer, ok in found if not ok]


def test_a_whole_etcd_has_nothing_wrong_and_every_member_is_asked() -> None:
    desired = wanted("etcd")
    reports = {f"node{n}": etcd(n) for n in (1, 2, 3)}
    assert wrong(desired, list(reports.values())) == []
    assert len(list(clusters.questions(desired, reports))) == 13


def test_a_member_that_is_gone_is_the_only_one_that_is_wrong() -> None:
    reports = [etcd(1), etcd(2), etcd(3, "curl: (7) Failed to connect")]
    assert wrong(wanted("etcd"), reports) == [("etcd's member is healthy", "node3", "curl: (7) Failed to connect")]


def test_no_leader_a_learner_and_no_majority_are_wrong() -> None:
    late = "Error: context deadline exceeded"
    reports = [etcd(1, "no answer"), etcd(2, agreed=late), etcd(3, learner=3)]
    found = {question: answer for question, _, answer in wrong(wanted("etcd"), reports)}
    assert found["etcd has one leader"] == "none"
    assert found["etcd reads what the majority holds"] == late
    assert "etcd reads what it holds" not in found
    assert found["etcd's members"] == "node1, node2, node3 (node3 still learning)"


@pytest.mark.parametrize("health", ['{"health":"false","reason":"ALARM NOSPACE"}', '{"health":"false"}'])
def test_a_member_without_room_is_called_full_and_is_still_a_leader(health: str) -> None:
    full = etcd(1, health, errors="memberID:10276657743932975437 alarm:NOSPACE ")
    [(question, node, answer)] = wrong(wanted("etcd"), [full, etcd(2), etcd(3)])
    assert (question, node) == ("etcd's member is healthy", "node1")
    assert answer == clusters.FULL and "full" in answer and "NOSPACE" in answer
    (part,) = clusters.services(("etcd",), full)
    assert (part.healthy, part.detail) == (False, clusters.FULL)


def test_another_alarm_is_told_in_the_members_own_words() -> None:
    reports = [etcd(1, '{"health":"false"}', errors="memberID:1 alarm:CORRUPT "), etcd(2), etcd(3)]
    assert wrong(wanted("etcd"), reports)[0][2] == '{"health":"false"}; memberID:1 alarm:CORRUPT'


def test_a_node_that_cannot_be_reached_is_not_asked_twice() -> None:
    reports = [etcd(1), etcd(2), Report("node3", error="did not answer")]
    assert wrong(wanted("etcd"), reports) == []


def test_a_lost_manager_is_named_by_those_that_are_left() -> None:
    reports = [swarm(1, down=3), swarm(2, down=3), Report("node3", error="did not answer")]
    assert wrong(wanted("swarm-manager"), reports) == [
        ("the swarm's nodes", node, "node3 is Down, Unreachable") for node in ("node1", "node2")
    ]


def test_a_node_outside_of_the_swarm_and_a_missing_network_are_wrong() -> None:
    reports = [swarm(1, network="other"), swarm(2), swarm(3, state="inactive\tfalse\t")]
    assert wrong(wanted("swarm-manager"), reports) == [
        ("the swarm's networks", "node1", "other 10.20.1.0/24"),
        ("in the swarm", "node3", "inactive"),
    ]


def test_a_manager_that_should_be_a_worker_is_wrong() -> None:
    (part,) = clusters.services(("swarm-worker",), swarm(1))
    assert (part.healthy, part.detail) == (False, "manager")


def test_status_shows_who_leads() -> None:
    assert [(part.version, part.detail) for n in (1, 2) for part in clusters.services(("etcd",), etcd(n))] == [
        ("3.5.16", "leads"),
        ("3.5.16", "follows"),
    ]
