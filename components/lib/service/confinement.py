"""What holds every container of Berth's services in, on nodes and on the deploy host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_command as command
import pulumi_docker as docker

from components.lib.host_files.connection import SshEndpoint
from components.lib.host_files.shell import Script, as_caller, as_root
from config.model.limits import LimitSettings

SCRIPT = Script.of(Path(__file__).parent / "scripts" / "processes.sh")
# Each check starts a process in the container; nothing waits for them. Spelt as Go spells durations: the published
# provider reads them back like that.
INTERVAL, TIMEOUT, RETRIES = "1m0s", "10s", 2
# The program that Berth's own images of Go programs have beside their own.
HEALTH = "/bin/health"
# The published provider notes a change of these and leaves the container as it is.
REPLACING = ["healthcheck", "tmpfs"]


@dataclass(frozen=True)
class Confinement:
    """Options of `docker.Container` that every service has."""

    limits: LimitSettings
    capabilities: Sequence[str] = ()
    """Those that it gets back, without CAP_."""
    scratch: Sequence[str] = ()
    """Directories in memory, empty at each start; everything else can only be read."""
    healthcheck: Sequence[str] = ()
    """The words of a command that fails when the service is not well; none: nobody asks. Nothing follows from it but
    what `docker ps` and `berth status` say."""

    host_processes: bool = False
    """It sees the processes of its machine, to tell how those of another service are."""

    def options(self) -> dict[str, Any]:
        """Keyword arguments of the container."""
        # Docker adds label=disable where the processes are the machine's; unsaid, the provider would see a change.
        security = ["no-new-privileges", *(["label=disable"] if self.host_processes else [])]
        return {
            "read_only": True,
            "security_opts": security,
            "pid_mode": "host" if self.host_processes else None,
            "capabilities": docker.ContainerCapabilitiesArgs(
                drops=["ALL"], adds=[f"CAP_{one}" for one in self.capabilities] or None
            ),
            "tmpfs": dict.fromkeys(self.scratch, "") or None,
            "memory": self.limits.memory,
            # Docker's default is as much swap again.
            "memory_swap": self.limits.memory,
            "healthcheck": docker.ContainerHealthcheckArgs(
                tests=["CMD", *self.healthcheck], interval=INTERVAL, timeout=TIMEOUT, retries=RETRIES
            )
            if self.healthcheck
            else None,
        }


def own_health(url: str, ca_file: str | None = None, name: str | None = None) -> list[str]:
    """The check that Berth's images of Go programs can do: the address answers 200, with a certificate for `name`."""
    return [HEALTH, url, *([ca_file] if ca_file else []), *([name] if name else [])]


def go_environment(limits: LimitSettings) -> Mapping[str, str]:
    """Variables of a Go program in bounds: it cleans up in time, and is not killed."""
    return {"GOMEMLIMIT": f"{limits.memory * 9 // 10}MiB"}


def bound_processes(
    name: str,
    container: docker.Container,
    called: str,
    limits: LimitSettings,
    *,
    access: SshEndpoint | None,
    opts: pulumi.ResourceOptions,
) -> pulumi.Resource:
    """Limits the processes of the container `called` so, which the provider has no option for. `access` leads to its
    machine; None: it is here."""
    arguments = (SCRIPT, called, str(limits.processes))
    if access is None:
        return command.local.Command(
            name,
            create=as_caller(*arguments),
            triggers=[container.id],
            add_previous_output_in_env=False,
            opts=opts,
        )
    return command.remote.Command(
        name,
        connection=access.connection(),
        create=as_root(*arguments, user=access.user),
        triggers=[container.id],
        add_previous_output_in_env=False,
        opts=opts,
    )
