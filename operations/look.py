"""Looks at a running stack: what `status` and `verify` show, from one round of questions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from rich.table import Table
from rich.text import Text

from config.naming import VIRTUAL_ADDRESS_STAGE
from operations import access, clusters, desired, front
from operations.desired import DEPLOY_HOST, Desired
from operations.doctor import Finding
from operations.errors import BerthError
from operations.front import Front
from operations.probe import ContainerFact, Probe, Report
from operations.pulumi.session import NOT_DEPLOYED, Session
from operations.verify import WARN_DAYS, Answer

JOURNALS = ("docker.service", "etcd.service", "etcd-member.service")
"""Units whose journal is looked at; the last is etcd's on CoreOS and Flatcar."""


@dataclass(frozen=True)
class Look:
    """The state's word and the machines' words, side by side."""

    desired: Desired
    reports: dict[str, Report]
    front: Front


def look(session: Session) -> Look:
    """Ask everything; unreachable machines are part of the answer."""
    return ask(session, wanted(session))


def wanted(session: Session) -> Desired:
    """What the state says."""
    if not session.is_deployed:
        raise BerthError(NOT_DEPLOYED.format(stack=session.stack))
    return desired.read(json.loads(session.ask("stack", "export", "--show-secrets")), session.stack)


def ask(session: Session, wanted: Desired) -> Look:
    """Ask everything that is wanted."""
    registry = str(wanted.outputs["registry"])
    probe = Probe(session.stack, registry, wanted.address, wanted.machines, journals=JOURNALS)
    reports = probe.ask(access.doors(session.workspace, wanted.outputs))
    return Look(wanted, reports, front.ask(session.workspace, session.stack, wanted.outputs))


@dataclass(frozen=True)
class Row:
    """One line of `status`."""

    node: str
    roles: tuple[str, ...]
    service: str
    healthy: bool
    version: str
    detail: str

    def as_json(self) -> dict[str, object]:
        return {
            "node": self.node,
            "roles": list(self.roles),
            "service": self.service,
            "healthy": self.healthy,
            "version": self.version,
            "detail": self.detail,
        }


def rows(seen: Look) -> list[Row]:
    """Docker and each service of every node."""
    roles = {node["name"]: tuple(node.get("roles", ())) for node in seen.desired.outputs.get("nodes", [])}
    result = []
    for name, machine in seen.desired.machines.items():
        if name == DEPLOY_HOST:
            continue
        report, own = seen.reports[name], roles.get(name, ())
        if report.error:
            result.append(Row(name, own, "node", False, "", report.error))
            continue
        result.append(Row(name, own, "docker", report.docker is not None, report.docker or "", report.docker_error))
        for service in machine.services:
            found = report.containers.get(service.name)
            runs = found is not None and found.is_healthy
            failing = _failing(service.service, name, seen) if runs else ""
            detail = failing or (_detail(found) if found else "no container")
            if service.service == VIRTUAL_ADDRESS_STAGE and runs:
                detail += f", holds {seen.desired.address}" if seen.desired.address in report.holds else ", stands by"
            version = _version(found, service.image)
            result.append(Row(name, own, service.service, runs and not failing, version, detail))
        if machine.firewall:
            state = " ".join(report.told.get("firewall", [["not told"]])[0])
            result.append(Row(name, own, "firewall", state == "in force", "", state))
        for part in clusters.services(own, report) if machine.asks else ():
            result.append(Row(name, own, part.name, part.healthy, part.version, part.detail))
    return result


def _failing(service: str, node: str, seen: Look) -> str:
    """A question of readiness about this node's part of a service that is not answered as it should be."""
    addresses = {n["address"]: n["name"] for n in seen.desired.outputs.get("nodes", [])}
    for asked, machine in seen.desired.machines.items():
        for question in machine.readiness:
            # One node may ask for all: the address says whose answer it is.
            about = addresses.get(urlsplit(question.url).hostname or "", asked)
            wanted, got = seen.reports[asked].urls.get(question.url, ("", ""))
            if (question.service, about) == (service, node) and wanted != got:
                return f"{question.url} answers {got}"
    return ""


def _detail(found: ContainerFact) -> str:
    return f"{found.condition}, restarted {found.restarts} times" if found.restarts else found.condition


def _version(found: ContainerFact | None, image: str) -> str:
    return (found.version if found else "") or image.rpartition("@")[2][:19]


def status_table(seen: Look) -> Table:
    """The table that a person reads."""
    table = Table("node", "role", "service", "healthy", "version", "")
    before = ""
    for row in rows(seen):
        first = row.node != before
        cells = [row.node if first else "", ", ".join(row.roles) if first else "", row.service]
        mark = Text("yes", "green") if row.healthy else Text("no", "red")
        table.add_row(*map(Text, cells), mark, Text(row.version), Text(row.detail))
        before = row.node
    return table


def notes(seen: Look) -> list[str]:
    """What `status` says below its table: the registry as a whole, and what runs out soon."""
    works = seen.front.with_user.status == 200
    result = [f"Registry {seen.desired.outputs['registry']}: {'answers' if works else seen.front.with_user.text}"]
    days = seen.front.anonymous.days_left
    for what, left in (("certificate", days), ("CA", seen.front.ca_days_left)):
        if left is not None and left < WARN_DAYS:
            result.append(f"Warning: the registry's {what} ends in {left} days; ./berth up renews it.")
    return result


def verify_table(found: list[Answer]) -> Table:
    """Questions and answers in green and red."""
    table = Table("question", "node", "ok", "answer")
    for answer in found:
        mark = Text("yes", "green") if answer.ok else Text("NO", "red")
        table.add_row(Text(answer.question), Text(answer.node), mark, Text(answer.answer))
    return table


def doctor_table(found: list[Finding]) -> Table:
    """What is, and what to do about it."""
    table = Table("subject", "ok", "found", "what to do")
    for finding in found:
        mark = Text("yes", "green") if finding.ok else Text("NO", "red")
        table.add_row(Text(finding.subject), mark, Text(finding.found), Text(finding.mend))
    return table
