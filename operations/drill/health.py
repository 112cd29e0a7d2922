"""Health of a lab: what `status` checks, every drive of the object store, each balancer, one holder of the VIP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from config import naming
from config.model.stack import Settings
from operations.drill.faults import STORE
from operations.drill.lab_node import LabNode, addresses
from operations.errors import BerthError
from operations.inspect import collect, endpoint_checks, status
from operations.inspect.expected import Desired, Machine
from operations.pulumi.session import Session

SECONDS = 3.0
ASK = ("curl", "--silent", "--show-error", "--output", "/dev/null", "--write-out", "%{http_code}")
AUTHORITY = f"{naming.node_directory('object-store')}/certs/CAs/ca.crt"


class Health:
    """Checks one stack's health, repeatedly."""

    def __init__(self, session: Session, desired: Desired, settings: Settings, nodes: Sequence[LabNode]) -> None:
        self._session = session
        # Files and daemon settings are not what a fault changes; leaving them out makes asking cheap.
        machines = {
            name: Machine(readiness=machine.readiness, services=machine.services)
            for name, machine in desired.machines.items()
        }
        self._desired = replace(desired, machines=machines)
        self._settings = settings
        self._nodes = nodes
        self._ca = str(desired.outputs["registry_ca"])

    def wrong(self) -> str:
        """The first thing that is not as it should be; empty when all is healthy."""
        try:
            return next(self._problems(), "")
        except (BerthError, OSError) as error:
            return str(error)

    def _problems(self) -> Iterator[str]:
        """What costs little is asked first."""
        balancers = [node for node in self._nodes if "load-balancer" in node.roles]
        address = self._settings.load_balancer.address
        have = [node.name for node in balancers if address in addresses(node.init())]
        if len(have) != 1:
            yield f"{address} is on {' and '.join(have) or 'no node'}"
        for node in balancers:
            yield from self._nginx(node)
        for node in self._nodes:
            if STORE in node.services:
                # "Could you go without harm?" is answered with yes only while the drives of all the others are there.
                yield from self._minio(node)
        snapshot = collect.query(self._session, self._desired)
        yield from (f"{row.service} on {row.node}: {row.detail}" for row in status.rows(snapshot) if not row.healthy)
        if snapshot.endpoints.with_user.status != 200:
            yield f"the registry answers {snapshot.endpoints.with_user.text}"

    def _nginx(self, node: LabNode) -> Iterator[str]:
        reply = endpoint_checks.get(
            f"https://{node.address}:{self._settings.registry.port}/v2/", self._ca, seconds=SECONDS
        )
        if reply.status != 401:
            yield f"nginx on {node.name} answers {reply.text}"

    def _minio(self, node: LabNode) -> Iterator[str]:
        """From the node itself: this machine is none that the object store's servers talk to."""
        url = f"https://{node.address}:{self._settings.object_store.port}/minio/health/cluster?maintenance=true"
        status = node.inside(*ASK, "--max-time", str(SECONDS), "--cacert", AUTHORITY, url)
        if status != "200":
            yield f"MinIO on {node.name} answers {status}"
