"""The rows of `berth status`: Docker and each service of every node, healthy or not; pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from config.naming import VIRTUAL_ADDRESS_STAGE
from operations.inspect import clusters
from operations.inspect.checks import WARN_DAYS
from operations.inspect.collect import ClusterSnapshot
from operations.inspect.expected import DEPLOY_HOST
from operations.inspect.reports import ContainerFact


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


def rows(snapshot: ClusterSnapshot) -> list[Row]:
    """Docker and each service of every node."""
    roles = {node["name"]: tuple(node.get("roles", ())) for node in snapshot.desired.outputs.get("nodes", [])}
    result = []
    for name, machine in snapshot.desired.machines.items():
        if name == DEPLOY_HOST:
            continue
        report, own = snapshot.reports[name], roles.get(name, ())
        if report.error:
            result.append(Row(name, own, "node", False, "", report.error))
            continue
        result.append(Row(name, own, "docker", report.docker is not None, report.docker or "", report.docker_error))
        for service in machine.services:
            found = report.containers.get(service.name)
            runs = found is not None and found.is_healthy
            failing = _failing(service.service, name, snapshot) if runs else ""
            detail = failing or (_detail(found) if found else "no container")
            if service.service == VIRTUAL_ADDRESS_STAGE and runs:
                detail += (
                    f", holds {snapshot.desired.address}" if snapshot.desired.address in report.holds else ", stands by"
                )
            version = _version(found, service.image)
            result.append(Row(name, own, service.service, runs and not failing, version, detail))
        if machine.firewall:
            state = report.firewall
            result.append(Row(name, own, "firewall", state == "in force", "", state))
        for part in clusters.services(own, report) if machine.asks else ():
            result.append(Row(name, own, part.name, part.healthy, part.version, part.detail))
    return result


def _failing(service: str, node: str, snapshot: ClusterSnapshot) -> str:
    """The failing readiness check of this node's part of a service; empty if none."""
    addresses = {n["address"]: n["name"] for n in snapshot.desired.outputs.get("nodes", [])}
    for asked, machine in snapshot.desired.machines.items():
        for question in machine.readiness:
            # One node may check all of them: the address shows which node replied.
            about = addresses.get(urlsplit(question.url).hostname or "", asked)
            expected, actual = snapshot.reports[asked].urls.get(question.url, ("", ""))
            if (question.service, about) == (service, node) and expected != actual:
                return f"{question.url} answers {actual}"
    return ""


def _detail(found: ContainerFact) -> str:
    return f"{found.condition}, restarted {found.restarts} times" if found.restarts else found.condition


def _version(found: ContainerFact | None, image: str) -> str:
    return (found.version if found else "") or image.rpartition("@")[2][:19]


def notes(snapshot: ClusterSnapshot) -> list[str]:
    """The lines below the table: the registry as a whole, and certificates that expire soon."""
    works = snapshot.endpoints.with_user.status == 200
    result = [
        f"Registry {snapshot.desired.outputs['registry']}: {'answers' if works else snapshot.endpoints.with_user.text}"
    ]
    days = snapshot.endpoints.anonymous.days_left
    for what, left in (("certificate", days), ("CA", snapshot.endpoints.ca_days_left)):
        if left is not None and left < WARN_DAYS:
            result.append(f"Warning: the registry's {what} ends in {left} days; ./berth up renews it.")
    return result
