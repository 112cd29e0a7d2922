"""etcd and Swarm: the checks of `verify` and the lines of `status`, from what the nodes report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from operations.inspect.cluster_facts import EtcdFacts, SwarmFacts, SwarmNode
from operations.inspect.expected import Desired
from operations.inspect.reports import Report

READS = {"serializable": "etcd reads what it holds", "linearizable": "etcd reads what the majority holds"}
FULL = "its store is full (alarm NOSPACE) and takes no writes: see docs/etcd.md, When it is full"

Question = tuple[str, str, str, bool]
"""Check, node, result, whether it passed."""


@dataclass(frozen=True)
class Service:
    """A cluster's part on one node, as `status` shows it."""

    name: str
    healthy: bool
    version: str
    detail: str


def questions(desired: Desired, reports: dict[str, Report]) -> Iterator[Question]:
    """Checks of both clusters, where the stack has them; unreachable nodes are reported elsewhere."""
    yield from _etcd(desired, reports)
    yield from _swarm(desired, reports)


def services(roles: tuple[str, ...], report: Report) -> Iterator[Service]:
    """What runs on a node beside its containers."""
    if "etcd" in roles:
        etcd = EtcdFacts.of(report)
        role = "leads" if etcd.status and etcd.status.is_leader else "follows"
        version = etcd.status.version if etcd.status else ""
        yield Service("etcd", etcd.is_healthy, version, role if etcd.is_healthy else _etcd_problem(etcd))
    if "swarm-manager" in roles or "swarm-worker" in roles:
        is_manager = "swarm-manager" in roles
        problem = _swarm_problem(SwarmFacts.of(report), is_manager)
        yield Service("swarm", not problem, "", problem or ("manager" if is_manager else "worker"))


def _etcd(desired: Desired, reports: dict[str, Report]) -> Iterator[Question]:
    expected = _with_role(desired, "etcd")
    facts = {name: EtcdFacts.of(reports[name]) for name in expected if not reports[name].error}
    for name, etcd in facts.items():
        yield from _etcd_member(name, etcd, expected)
    if expected:
        leaders = sorted(name for name, etcd in facts.items() if etcd.status and etcd.status.is_leader)
        yield "etcd has one leader", ", ".join(expected), ", ".join(leaders) or "none", len(leaders) == 1


def _etcd_member(name: str, etcd: EtcdFacts, expected: Sequence[str]) -> Iterator[Question]:
    status = etcd.status
    version = f"{status.version}, {status.db_size}" if status else ""
    text = f"healthy, {version}" if etcd.is_healthy else _etcd_problem(etcd)
    yield "etcd's member is healthy", name, text, etcd.is_healthy
    if not status:
        return
    members = sorted(member.name or member.peer_urls for member in etcd.members)
    learners = [member.name for member in etcd.members if member.is_learner]
    text = ", ".join(members) + (f" ({', '.join(learners)} still learning)" if learners else "")
    yield "etcd's members", name, text or "no answer", members == sorted(expected) and not learners
    for kind, question in READS.items():
        answer = etcd.reads.get(kind) or "no answer"
        yield question, name, answer, answer == "yes"


def _etcd_problem(etcd: EtcdFacts) -> str:
    """Why a member is not healthy: its own text, or a better one where its store is full."""
    # The status ends with errors, alarms among them; an older member's page does not say which alarm it is.
    errors = etcd.status.errors if etcd.status else ()
    if any("NOSPACE" in text for text in (etcd.health, *errors)):
        return FULL
    return "; ".join([etcd.health or "no answer", *(text.strip() for text in errors if text.strip())])


def _swarm(desired: Desired, reports: dict[str, Report]) -> Iterator[Question]:
    managers, workers = _with_role(desired, "swarm-manager"), _with_role(desired, "swarm-worker")
    leaders = set[str]()
    for name in [*managers, *workers]:
        if reports[name].error:
            continue
        swarm, is_manager = SwarmFacts.of(reports[name]), name in managers
        problem = _swarm_problem(swarm, is_manager)
        yield "in the swarm", name, problem or ("manager" if is_manager else "worker"), not problem
        if problem or not is_manager:
            continue
        leaders |= {node.hostname for node in swarm.nodes if node.manager_status == "Leader"}
        yield from _swarm_view(name, swarm, managers, workers)
        expected = _overlay_networks(desired, name)
        if expected or swarm.networks:
            text = ", ".join(swarm.networks) or "none"
            yield "the swarm's networks", name, text, sorted(swarm.networks) == sorted(expected)
    if managers:
        yield "the swarm has one leader", ", ".join(managers), ", ".join(sorted(leaders)) or "none", len(leaders) == 1


def _swarm_view(name: str, swarm: SwarmFacts, managers: Sequence[str], workers: Sequence[str]) -> Iterator[Question]:
    """The swarm's nodes as one manager lists them."""
    listed = {node.hostname for node in swarm.nodes}
    problems = [f"{host} is not there" for host in (*managers, *workers) if host not in listed]
    problems += filter(None, (_node_problem(node, managers, workers) for node in swarm.nodes))
    text = "; ".join(problems) or f"{len(swarm.nodes)} ready"
    yield "the swarm's nodes", name, text if listed else "hears no leader", bool(listed) and not problems


def _node_problem(node: SwarmNode, managers: Sequence[str], workers: Sequence[str]) -> str:
    unreachable = node.hostname in managers and node.manager_status not in ("Leader", "Reachable")
    if unreachable:
        return f"{node.hostname} is {node.status}, {node.manager_status or 'no manager'}"
    if node.status != "Ready":
        return f"{node.hostname} is {node.status}"
    return "" if node.hostname in (*managers, *workers) else f"{node.hostname} has no role in it"


def _overlay_networks(desired: Desired, node: str) -> list[str]:
    """Overlay networks that the stage's question to this node lists."""
    asks = [ask.split("\t") for ask in desired.machines[node].asks]
    return [network for kind, *networks in asks if kind == "swarm" for network in networks]


def _swarm_problem(swarm: SwarmFacts, is_manager: bool) -> str:
    """Why the node is not in the swarm with its role; empty if it is."""
    if swarm.state != "active":
        return ": ".join(filter(None, [swarm.state or "no answer", swarm.error]))
    if swarm.is_manager == is_manager:
        return ""
    return "no manager" if is_manager else "manager"


def _with_role(desired: Desired, role: str) -> list[str]:
    return [str(node["name"]) for node in desired.outputs.get("nodes", []) if role in node.get("roles", ())]
