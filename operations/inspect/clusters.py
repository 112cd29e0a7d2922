"""etcd and Swarm as their nodes tell of them: the questions of `verify` and the lines of `status`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from operations.inspect.expected import Desired
from operations.inspect.probe import Report

READS = {"serializable": "etcd reads what it holds", "linearizable": "etcd reads what the majority holds"}
FULL = "its store is full (alarm NOSPACE) and takes no writes: see docs/etcd.md, When it is full"

Question = tuple[str, str, str, bool]
"""What was asked, of whom, the answer, whether it is the right one."""


@dataclass(frozen=True)
class Service:
    """A cluster's part on one node, as `status` shows it."""

    name: str
    healthy: bool
    version: str
    detail: str


def questions(desired: Desired, reports: dict[str, Report]) -> Iterator[Question]:
    """Of both clusters, where the stack has them; a node that cannot be reached has said so already."""
    yield from _of_etcd(desired, reports)
    yield from _of_swarm(desired, reports)


def services(roles: tuple[str, ...], report: Report) -> Iterator[Service]:
    """What runs on a node beside its containers."""
    if "etcd" in roles:
        health, status = _one(report, "etcd", "health"), _one(report, "etcd", "status")
        leads = "leads" if status and status[4] == "true" else "follows"
        healthy = health == ["healthy"]
        yield Service("etcd", healthy, status[2] if status else "", leads if healthy else _ailment(health, status))
    if _is_in_swarm(roles):
        wrong = _wrong_role(roles, report)
        manages = "manager" if "swarm-manager" in roles else "worker"
        yield Service("swarm", not wrong, "", wrong or manages)


def _of_etcd(desired: Desired, reports: dict[str, Report]) -> Iterator[Question]:
    wanted = _with_role(desired, "etcd")
    leaders = set()
    for name in wanted:
        report = reports[name]
        if report.error:
            continue
        health, status = _one(report, "etcd", "health"), _one(report, "etcd", "status")
        healthy = health == ["healthy"]
        version = f"{status[2]}, {status[3]}" if status else ""
        text = f"healthy, {version}" if healthy else _ailment(health, status)
        yield "etcd's member is healthy", name, text, healthy
        if not status:
            continue
        if status[4] == "true":
            leaders.add(name)
        members = sorted(values[2] or values[3] for values in _all(report, "etcd", "member"))
        learners = [values[2] for values in _all(report, "etcd", "member") if values[-1] == "true"]
        text = ", ".join(members) + (f" ({', '.join(learners)} still learning)" if learners else "")
        yield "etcd's members", name, text or "no answer", members == sorted(wanted) and not learners
        read = {values[0]: values[-1] for values in _all(report, "etcd", "read")}
        for kind, question in READS.items():
            answer = read.get(kind) or "no answer"
            yield question, name, answer, answer == "yes"
    if wanted:
        yield "etcd has one leader", ", ".join(wanted), ", ".join(sorted(leaders)) or "none", len(leaders) == 1


def _ailment(health: list[str], status: list[str]) -> str:
    """Why a member is not healthy: in its own words, or in better ones where it only lacks room."""
    # The status ends with errors, alarms among them; an older member's page does not say which alarm it is.
    if any("NOSPACE" in word for word in (*health, *status[9:])):
        return FULL
    return "; ".join([_first(health, "no answer"), *(word.strip() for word in status[9:] if word.strip())])


def _of_swarm(desired: Desired, reports: dict[str, Report]) -> Iterator[Question]:
    managers, workers = _with_role(desired, "swarm-manager"), _with_role(desired, "swarm-worker")
    leaders = set()
    for name in [*managers, *workers]:
        report = reports[name]
        if report.error:
            continue
        roles = ("swarm-manager",) if name in managers else ("swarm-worker",)
        wrong = _wrong_role(roles, report)
        yield "in the swarm", name, wrong or roles[0].removeprefix("swarm-"), not wrong
        if wrong or name in workers:
            continue
        nodes = {values[0]: values for values in _all(report, "swarm", "node")}
        leaders |= {host for host, (_, _, _, manager) in nodes.items() if manager == "Leader"}
        problems = [f"{host} is not there" for host in (*managers, *workers) if host not in nodes]
        for host, (_, status, _, manager) in nodes.items():
            unreachable = host in managers and manager not in ("Leader", "Reachable")
            if status != "Ready" or unreachable:
                problems.append(", ".join([f"{host} is {status}", *([manager or "no manager"] if unreachable else [])]))
            elif host not in (*managers, *workers):
                problems.append(f"{host} has no role in it")
        text = "; ".join(problems) or f"{len(nodes)} ready"
        yield "the swarm's nodes", name, text if nodes else "hears no leader", bool(nodes) and not problems
        wanted = [one for ask in desired.machines[name].asks for one in ask.split("\t")[1:] if ask.startswith("swarm")]
        found = [values[0] for values in _all(report, "swarm", "network")]
        if wanted or found:
            yield "the swarm's networks", name, ", ".join(found) or "none", sorted(found) == sorted(wanted)
    if managers:
        yield "the swarm has one leader", ", ".join(managers), ", ".join(sorted(leaders)) or "none", len(leaders) == 1


def _wrong_role(roles: tuple[str, ...], report: Report) -> str:
    """What keeps the node from being in the swarm as its roles say; empty if nothing."""
    state = _one(report, "swarm", "state")
    if not state or state[0] != "active":
        return ": ".join(word for word in [_first(state, "no answer"), *state[2:]] if word)
    wants = "swarm-manager" in roles
    return "" if (state[1] == "true") == wants else f"{'no ' if wants else ''}manager"


def _with_role(desired: Desired, role: str) -> list[str]:
    return [str(node["name"]) for node in desired.outputs.get("nodes", []) if role in node.get("roles", ())]


def _is_in_swarm(roles: tuple[str, ...]) -> bool:
    return "swarm-manager" in roles or "swarm-worker" in roles


def _all(report: Report, cluster: str, word: str) -> list[list[str]]:
    return [values[1:] for values in report.told.get(cluster, []) if values[:1] == [word]]


def _one(report: Report, cluster: str, word: str) -> list[str]:
    return next(iter(_all(report, cluster, word)), [])


def _first(values: list[str], otherwise: str = "nothing") -> str:
    return values[0] if values and values[0] else otherwise
