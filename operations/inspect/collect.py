"""One round of queries over a running stack, which `status`, `verify`, `drift` and gates are views of."""

from __future__ import annotations

from dataclasses import dataclass

from operations import ssh
from operations.inspect import endpoint_checks, expected
from operations.inspect.endpoint_checks import EndpointReplies
from operations.inspect.expected import Desired
from operations.inspect.probe import Probe
from operations.inspect.reports import Report
from operations.pulumi.backend import not_deployed
from operations.pulumi.session import Session

JOURNALS = ("docker.service", "etcd.service", "etcd-member.service")
"""Units whose journal is read; the last is etcd's on CoreOS and Flatcar."""


@dataclass(frozen=True)
class ClusterSnapshot:
    """The desired state with the reports of all machines and the replies of the endpoints."""

    desired: Desired
    reports: dict[str, Report]
    endpoints: EndpointReplies


def collect(session: Session) -> ClusterSnapshot:
    """Query every machine and endpoint once; unreachable machines are part of the result."""
    return query(session, desired(session))


def desired(session: Session) -> Desired:
    """The desired state from the stack's state; raises BerthError for a stack that is not deployed."""
    if not session.is_deployed:
        raise not_deployed(session.workspace, session.stack)
    return expected.read(session.export(show_secrets=True), session.stack)


def query(session: Session, desired: Desired) -> ClusterSnapshot:
    """Query the machines and endpoints of a given desired state."""
    registry = str(desired.outputs["registry"])
    probe = Probe(session.stack, registry, desired.address, desired.machines, journals=JOURNALS)
    reports = probe.ask(ssh.hosts(session.workspace, desired.outputs))
    return ClusterSnapshot(desired, reports, endpoint_checks.ask(session.workspace, session.stack, desired.outputs))
