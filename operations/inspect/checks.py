"""The checks of `berth verify`: the state compared with what the machines report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography import x509

from config.naming import VIRTUAL_ADDRESS_STAGE
from operations.inspect import clusters, compare
from operations.inspect.compare import Difference, Finding, Unknown
from operations.inspect.endpoint_checks import EndpointReplies
from operations.inspect.expected import DEPLOY_HOST, Desired, Machine
from operations.inspect.reports import Report

WARN_DAYS = 30
FREE_KIB = 1024 * 1024
SKEW_SECONDS = 60
"""MinIO refuses peers whose clocks are a quarter of an hour apart; a minute is a clock that nobody sets."""


@dataclass(frozen=True)
class Answer:
    """One check on one machine and its result."""

    question: str
    node: str
    answer: str
    ok: bool

    def as_json(self) -> dict[str, object]:
        return {"question": self.question, "node": self.node, "answer": self.answer, "ok": self.ok}


def answers(desired: Desired, reports: dict[str, Report], replies: EndpointReplies) -> list[Answer]:
    """Every question, node by node, the registry as a whole first."""
    result = [*_endpoints(desired, replies), *_holders(desired, reports)]
    for name, machine in desired.machines.items():
        report = reports[name]
        if report.error:
            result.append(Answer("reachable", name, report.error, False))
        else:
            result.extend(_machine(desired, name, machine, report))
    return [*result, *(Answer(*one) for one in clusters.questions(desired, reports))]


def _endpoints(desired: Desired, replies: EndpointReplies) -> Iterator[Answer]:
    registry = str(desired.outputs["registry"])
    yield Answer(
        "registry rejects anonymous requests (401)", registry, replies.anonymous.text, replies.anonymous.status == 401
    )
    yield Answer("registry accepts its user (200)", registry, replies.with_user.text, replies.with_user.status == 200)
    days = replies.anonymous.days_left
    if days is not None:
        yield Answer("registry's certificate", registry, f"{days} days left", days >= WARN_DAYS)
    yield Answer("CA", registry, f"{replies.ca_days_left} days left", replies.ca_days_left >= WARN_DAYS)
    promoted: dict[str, str] = desired.outputs.get("promoted") or {}
    if promoted:
        yield _promoted(registry, promoted, replies)
    store = replies.object_store
    text = "write quorum" if store.status == 200 else "no write quorum" if store.status == 503 else store.text
    yield Answer("object store takes writes", str(desired.outputs["object_store"]), text, store.status == 200)


def _promoted(registry: str, promoted: dict[str, str], replies: EndpointReplies) -> Answer:
    """Whether every tag is still the image that another stack has proved."""
    wrong = [
        f"{name} is {replies.promoted.get(name) or 'missing'}, not {digest}"
        for name, digest in promoted.items()
        if replies.promoted.get(name) != digest
    ]
    return Answer("promoted images as pinned", registry, "; ".join(wrong) or f"all {len(promoted)}", not wrong)


def _holders(desired: Desired, reports: dict[str, Report]) -> Iterator[Answer]:
    """Two balancers with the address are as bad as none."""
    services = (service for machine in desired.machines.values() for service in machine.services)
    if not any(service.service == VIRTUAL_ADDRESS_STAGE for service in services):
        return
    holders = [name for name, report in reports.items() if desired.address in report.holds]
    yield Answer("one balancer holds the address", desired.address, ", ".join(holders) or "none", len(holders) == 1)


def _machine(desired: Desired, name: str, machine: Machine, report: Report) -> Iterator[Answer]:
    registry = str(desired.outputs["registry"])
    host = registry.rpartition(":")[0]
    found = list(compare.of_machine(name, machine, report))
    if name != DEPLOY_HOST:
        yield Answer("reachable", name, f"{report.os}, {report.init}", True)
        clock = f"{report.skew} s off" if report.skew else "right"
        yield Answer("clock", name, clock, report.skew <= SKEW_SECONDS)
        yield _agrees("docker's unit", name, found, (compare.UNIT,), _unit(report))
    docker = report.docker or f"does not answer: {report.docker_error}"
    yield Answer("docker runs", name, docker, report.docker is not None)
    for unit, journal in report.journals.items():
        errors = f"{journal.errors} errors since it was started"
        text = f"{errors}, {journal.fatal} fatal: {journal.last}" if journal.fatal else errors
        yield Answer(f"journal of {unit}", name, text, not journal.fatal)
    if machine.info and report.docker:
        yield _agrees("daemon settings in force", name, found, (compare.SETTING,), f"all {len(machine.info)}")
    if machine.firewall:
        yield _agrees("firewall as written", name, found, (compare.FIREWALL,), "in force")
    yield _trust(desired, name, report)
    address = report.resolves.get(host)
    yield Answer(f"resolves {host}", name, address or "no address", bool(address))
    for disk in report.disks:
        free = f"{disk.mount}: {disk.free_kib / 1024**2:.1f} GiB free ({disk.used} used)"
        yield Answer("disk", name, free, disk.free_kib >= FREE_KIB)
    yield from _services(name, machine, report, found)
    for question in machine.readiness:
        expected, actual = report.urls.get(question.url, (question.status, "not asked"))
        yield Answer(f"{question.service} answers {expected} at {question.url}", name, actual, actual == expected)
    if machine.listeners and report.docker:
        text = f"all {len(machine.listeners)}"
        yield _agrees("certificates as issued", name, found, (compare.CERTIFICATE,), text)
    if machine.files or machine.blocks:
        count = len(machine.files) + len(machine.blocks)
        yield _agrees("files as written", name, found, (compare.FILE, compare.BLOCK), f"all {count}")
    for unknown in found:
        if isinstance(unknown, Unknown) and report.docker:
            yield Answer("all could be checked", name, unknown.reason, False)


def _agrees(question: str, name: str, found: Sequence[Difference], kinds: tuple[str, ...], fine: str) -> Answer:
    wrong = [one.sentence for one in found if isinstance(one, Finding) and one.kind in kinds]
    return Answer(question, name, "; ".join(wrong) or fine, not wrong)


def _unit(report: Report) -> str:
    service = report.units.get("docker.service")
    return f"{report.init}: no units" if service is None else service.active


def _trust(desired: Desired, name: str, report: Report) -> Answer:
    ours = {_fingerprint(c) for c in x509.load_pem_x509_certificates(str(desired.outputs["registry_ca"]).encode())}
    try:
        found = {_fingerprint(c) for c in x509.load_pem_x509_certificates(report.trust.encode())}
    except ValueError:
        return Answer("docker trusts the CA", name, "no CA in certs.d", False)
    text = ", ".join(sorted(f"sha256 {one[:16]}" for one in found))
    return Answer("docker trusts the CA", name, text, ours <= found)


def _fingerprint(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.hashes import SHA256

    return certificate.fingerprint(SHA256()).hex()


def _services(name: str, machine: Machine, report: Report, found: Sequence[Difference]) -> Iterator[Answer]:
    wrong: dict[str, list[str]] = {}
    for one in found:
        if isinstance(one, Finding) and one.kind == compare.CONTAINER:
            wrong.setdefault(one.name, []).append(one.sentence)
    for service in machine.services:
        fact = report.containers.get(service.name)
        state = "no container" if fact is None else fact.condition
        sentences = wrong.pop(service.name, [])
        fine = fact is not None and fact.is_healthy and not sentences
        yield Answer(f"{service.service} runs", name, "; ".join([state, *(sentences if fact else ())]), fine)
    for extra in wrong:
        yield Answer("no container too many", name, f"{extra} is not of this stack's state", False)
