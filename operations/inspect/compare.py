"""Differences between a machine's report and the state: the one comparison behind `drift` and `verify`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from operations.inspect.expected import DesiredFile, Machine, Service
from operations.inspect.reports import ContainerFact, FileFact, Report
from operations.pulumi.state import GONE, UNAPPLIED

FILE, BLOCK, UNIT, SETTING, CONTAINER, CERTIFICATE = "file", "block", "unit", "setting", "container", "certificate"
FIREWALL = "firewall"
MISSING = "missing"
FOREIGN_CONTAINER_GRACE_SECONDS = 10
IN_HOST = {
    "volumes": "Binds",
    "network mode": "NetworkMode",
    "capabilities": "CapAdd",
    "dropped capabilities": "CapDrop",
    "privileges": "Privileged",
    "restart policy": "RestartPolicy",
    "pid mode": "PidMode",
    "processor weight": "CpuShares",
    "memory limit": "Memory",
    "read-only root": "ReadonlyRootfs",
    "security options": "SecurityOpt",
}
IN_CONFIG = {"command": "Cmd", "entrypoint": "Entrypoint", "user": "User", "stop signal": "StopSignal"}


@dataclass(frozen=True)
class Finding:
    """One difference from the state. Never holds the content of a file or a variable."""

    node: str
    kind: str
    name: str
    expected: str
    found: str
    resource: str = ""
    """URN of the resource that repairs it; empty if the state has none."""
    mark: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """Changes to the resource in the state that describe what was found; never shown."""

    @property
    def sentence(self) -> str:
        return f"{self.name} is {self.found}, not {self.expected}"

    def as_json(self) -> dict[str, str]:
        return {
            "node": self.node,
            "kind": self.kind,
            "name": self.name,
            "expected": self.expected,
            "found": self.found,
            "resource": self.resource,
        }


@dataclass(frozen=True)
class Unknown:
    """Something that could not be checked: neither equal nor different."""

    node: str
    reason: str

    def as_json(self) -> dict[str, str]:
        return {"node": self.node, "reason": self.reason}


Difference = Finding | Unknown


def of_machine(name: str, machine: Machine, report: Report) -> Iterator[Difference]:
    """Everything on one machine that answered; a machine that did not is one thing unknown."""
    if report.error:
        yield Unknown(name, report.error)
        return
    yield from _files(name, machine, report)
    yield from _blocks(name, machine, report)
    yield from _units(name, machine, report)
    yield from _firewall(name, machine, report)
    if report.docker is None:
        if machine.services or machine.info:
            yield Unknown(name, f"Docker does not answer: {report.docker_error}")
        return
    yield from _settings(name, machine, report)
    containers = list(_containers(name, machine, report))
    yield from containers
    # A container that differs is reported already: its certificate adds nothing.
    yield from _certificates(name, machine, report, {found.name for found in containers})


def _files(name: str, machine: Machine, report: Report) -> Iterator[Difference]:
    for path, desired in machine.files.items():
        found = report.files.get(path)
        if found is not None and not found.checksum:
            yield Unknown(name, f"{path} can't be read")
        else:
            for expected, actual in _of_file(desired, found):
                yield Finding(name, FILE, path, expected, actual, desired.resource, UNAPPLIED)


def _of_file(desired: DesiredFile, found: FileFact | None) -> Iterator[tuple[str, str]]:
    if found is None:
        if not desired.optional:
            yield "there", MISSING
        return
    if found.checksum != desired.checksum and found.checksum not in desired.instead:
        yield "as written", "changed"
    if found.mode != desired.mode:
        yield f"mode {desired.mode}", f"mode {found.mode}"
    # The state may name a user, or give a number that the node has no name for.
    users, groups = zip(*(owner.split(":") for owner in found.owners), strict=True)
    user, group = desired.owner.split(":")
    if user not in users or group not in groups:
        yield f"owned by {desired.owner}", f"owned by {found.owners[0]}"


def _blocks(name: str, machine: Machine, report: Report) -> Iterator[Difference]:
    for path, desired in machine.blocks.items():
        found = report.blocks.get(path, MISSING)
        if found == "unreadable":
            yield Unknown(name, f"{path} can't be read")
        elif found != desired.checksum:
            actual = "without Berth's lines" if found == MISSING else "changed between Berth's marks"
            yield Finding(name, BLOCK, path, "as written", actual, desired.resource, UNAPPLIED)


def _units(name: str, machine: Machine, report: Report) -> Iterator[Difference]:
    service = report.units.get("docker.service")
    if service is None or not machine.info:
        return  # no systemd, or no daemon that Berth sets
    if service.active != "active":
        yield Finding(name, UNIT, "docker.service", "active", service.active, machine.daemon, UNAPPLIED)
    if all(unit.enabled not in ("enabled", "enabled-runtime", "static", "indirect") for unit in report.units.values()):
        yield Finding(name, UNIT, "docker.service", "enabled at boot", service.enabled or "unknown to systemd")
    if service.stale:
        expected = "in force as its files say"
        yield Finding(name, UNIT, "docker.service", expected, "loaded from older files", machine.daemon, UNAPPLIED)


def _firewall(name: str, machine: Machine, report: Report) -> Iterator[Difference]:
    if not machine.firewall:
        return
    found = report.firewall
    if found in ("unreadable", "not told"):
        yield Unknown(name, f"whether the table berth of nftables is as written: {found}")
    elif found != "in force":
        yield Finding(name, FIREWALL, "table inet berth", "in force", found, machine.firewall, UNAPPLIED)


def _settings(name: str, machine: Machine, report: Report) -> Iterator[Difference]:
    if machine.info and not report.info:
        yield Unknown(name, "docker info does not answer")
        return
    for format_, desired, actual in zip(machine.info, machine.info.values(), report.info, strict=False):
        if actual.strip() != desired.strip():
            yield Finding(
                name, SETTING, format_, repr(desired.strip()), repr(actual.strip()), machine.daemon, UNAPPLIED
            )


def _containers(name: str, machine: Machine, report: Report) -> Iterator[Finding]:
    for service in machine.services:
        found = report.containers.get(service.name)
        for expected, actual in _of_container(service, found):
            yield Finding(name, CONTAINER, service.name, expected, actual, service.resource, _as_found(found, service))
    for extra in sorted(set(report.containers) - {service.name for service in machine.services}):
        yield Finding(name, CONTAINER, extra, "absent", "there with this stack's label")


def _as_found(found: ContainerFact | None, service: Service) -> Mapping[str, Any]:
    """The container that is there takes the place of the state's, so that it is the one that goes."""
    if found is None:
        return GONE
    mark: dict[str, Any] = {"id": found.id, "outputs": {"image": "another"}}
    if found.image != service.image:
        # A foreign container does not need the grace period that ours needs for its clients.
        timeout = {"destroyGraceSeconds": FOREIGN_CONTAINER_GRACE_SECONDS}
        mark |= {"inputs": timeout, "outputs": {**mark["outputs"], **timeout}}
    return mark


def _of_container(service: Service, found: ContainerFact | None) -> Iterator[tuple[str, str]]:
    if found is None:
        yield "there", MISSING
        return
    if found.state != "running":
        yield "running", found.state
    if found.image != service.image:
        yield f"from {service.image}", f"from {found.image}"
    yield from _made_otherwise(service.inputs, found)


def _made_otherwise(inputs: Mapping[str, Any], found: ContainerFact) -> Iterator[tuple[str, str]]:
    """Settings of a container: as it was created, compared with what Docker reports."""
    if not found.config:
        return
    # The published plugin sends the same body.
    from plugins.providers.docker_container_body import container_body

    body = container_body(inputs)
    host = body["HostConfig"]
    other = [what for what, key in IN_HOST.items() if _plain(host.get(key)) != _plain(found.host.get(key))]
    # What the state leaves open is the image's default.
    other += [
        what for what, key in IN_CONFIG.items() if key in body and _plain(body[key]) != _plain(found.config.get(key))
    ]
    variables = set(body.get("Env", [])) - set(found.config.get("Env") or [])
    other += sorted(variable.partition("=")[0] for variable in variables)
    if other:
        yield "made as the state says", f"made with other settings: {', '.join(other)}"


def _plain(value: Any) -> Any:
    """Normalises what Docker writes in several ways."""
    if isinstance(value, list):
        return sorted(str(item).upper().removeprefix("CAP_") for item in value) or None
    return value or None


def _certificates(name: str, machine: Machine, report: Report, others: set[str]) -> Iterator[Difference]:
    services = {service.name: service for service in machine.services}
    for listener in machine.listeners:
        service, found = services.get(listener.container), report.containers.get(listener.container)
        shown = report.served.get((listener.address, listener.port), "(not asked)")
        if service is None or found is None or service.name in others or shown in machine.certificates:
            continue
        place = f"{listener.container}, port {listener.port}"
        if shown.startswith("("):
            yield Unknown(name, f"{place} shows no certificate {shown}")
        else:
            actual = f"showing another one, sha256 {shown[:16]}"
            mark = _as_found(found, service)
            yield Finding(name, CERTIFICATE, place, "showing the state's certificate", actual, service.resource, mark)
