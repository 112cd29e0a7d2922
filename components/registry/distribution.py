"""One distribution process on one node, replica or cache: certificate, files, container, readiness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import pulumi
import pulumi_command as command
import pulumi_docker as docker

from components.certificates.component import CertificateAuthority
from components.certificates.pem import Pem
from components.docker_daemon.component import DockerNode
from components.lib.host_files.bundle import Entry
from components.lib.readiness.component import Probe, ready
from components.lib.service.confinement import Confinement, go_environment, own_health
from components.lib.service.container import ServiceContainer
from components.lib.service.stage import service
from components.registry.render import DRAIN_SECONDS, USER, Listener, entries, start_digest
from config import naming
from config.model.limits import LimitSettings
from config.model.stack import Settings

# The storage health check runs every ten seconds and needs one good answer.
READY_SECONDS = 60
# More than the process itself gives to the requests that it is in the middle of.
GRACE_SECONDS = DRAIN_SECONDS + 10


@dataclass(frozen=True)
class Process:
    """What is started, and from what."""

    listener: Listener
    image: str
    config: pulumi.Output[str]
    environment: Mapping[str, str]
    limits: LimitSettings
    own_image: bool
    """The image is Berth's."""
    volumes: Mapping[str, str] = field(default_factory=dict)
    """Beside the directory of its files."""
    writable: frozenset[str] = frozenset()
    entries: Sequence[Entry] = ()
    """Beside configuration and certificate."""


class Distribution:
    """A process in two steps, so that something can come between knowing what will run and running it."""

    container: docker.Container
    ready: command.remote.Command

    def __init__(
        self,
        name: str,
        on: DockerNode,
        settings: Settings,
        authority: CertificateAuthority,
        client_ca: pulumi.Output[str],
        process: Process,
        parent: pulumi.Resource,
    ) -> None:
        self._name, self._on, self._settings, self._process, self._parent = name, on, settings, process, parent
        certificate = authority.issue(
            name,
            common_name=on.node.name,
            dns_names=[on.node.name, naming.replica_name(settings.registry.name)],
            addresses=[on.node.address],
            parent=parent,
        )
        self._pem = authority.pem(certificate)
        self._client_ca = client_ca
        self.start_digest = pulumi.Output.unsecret(
            pulumi.Output.all(process.config, certificate.certificate, client_ca).apply(
                lambda read_at_start: start_digest(*read_at_start)
            )
        )
        """Of what the process reads only at its start: another digest is another container."""

    def start(self, *depends_on: pulumi.Resource) -> None:
        """Files, container and the wait for healthy storage."""
        process = self._process
        listener = process.listener
        self.container = service(
            self._name,
            self._on,
            self._settings.stack,
            ServiceContainer(
                service=listener.stage,
                image=process.image,
                command=["serve", f"{listener.directory}/config.yml"],
                volumes={listener.directory: listener.directory, **process.volumes},
                writable=process.writable,
                environment={**process.environment, **go_environment(process.limits)},
                confinement=confinement(process.limits, listener, own_image=process.own_image),
                user=USER,
                grace_seconds=GRACE_SECONDS,
                config_digest=self.start_digest,
            ),
            pulumi.Output.all(process.config, self._pem, self._client_ca).apply(
                partial(_entries, listener, process.entries)
            ),
            parent=self._parent,
            depends_on=depends_on,
        )
        node = self._on.node
        self.ready = ready(
            f"{self._name}-ready",
            node=node,
            probes=[Probe(listener.health_url)],
            seconds=READY_SECONDS,
            triggers=[self.container.id],
            opts=node.options(self._parent),
        )


def confinement(limits: LimitSettings, listener: Listener, *, own_image: bool) -> Confinement:
    """What a replica or a cache needs."""
    healthcheck = own_health(listener.health_url) if own_image else ()
    return Confinement(limits, scratch=["/tmp"], healthcheck=healthcheck)


def _entries(listener: Listener, more: Sequence[Entry], known: tuple[str, Pem, str]) -> list[Entry]:
    return [*entries(listener, *known), *more]
