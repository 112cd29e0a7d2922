"""The one reader of nodes: asks all of them at once, one bounded connection each, and changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from operations.access import Door
from operations.desired import DEPLOY_HOST, Machine

SCRIPT = Path(__file__).parent / "scripts" / "probe.sh"
SECONDS = 15.0


@dataclass(frozen=True)
class ContainerFact:
    """A container of Berth's as its daemon reports it."""

    service: str
    name: str
    image: str
    state: str
    health: str
    restarts: int
    version: str

    @property
    def is_healthy(self) -> bool:
        return self.state == "running" and self.health in ("-", "healthy")


@dataclass(frozen=True)
class DiskFact:
    """Free space of one file system."""

    mount: str
    free_kib: int
    used: str


@dataclass
class Report:
    """What one machine said; `error` and nothing else where it could not be asked."""

    node: str
    error: str | None = None
    os: str = ""
    init: str = ""
    clock: int | None = None
    skew: int = 0
    """Seconds between its clock and this machine's, beyond what the asking itself took."""
    unit: tuple[str, str] | None = None
    """State of the docker unit and whether systemd has yet to reload it; None without systemd."""
    docker: str | None = None
    """The daemon's version, None where it does not answer."""
    docker_error: str = ""
    containers: dict[str, ContainerFact] = field(default_factory=dict)
    disks: list[DiskFact] = field(default_factory=list)
    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    blocks: dict[str, str] = field(default_factory=dict)
    info: list[str] = field(default_factory=list)
    urls: dict[str, tuple[str, str]] = field(default_factory=dict)
    resolves: dict[str, str] = field(default_factory=dict)
    holds: frozenset[str] = frozenset()
    """Addresses that were asked for and are on this machine now."""
    trust: str = ""
    """The CA file that Docker reads for the registry, PEM."""


class Probe:
    """One round of questions to a stack's machines."""

    def __init__(
        self, stack: str, registry: str, address: str, machines: Mapping[str, Machine], seconds: float = SECONDS
    ) -> None:
        self._stack = stack
        self._registry = registry
        self._address = address
        self._machines = machines
        self._seconds = seconds

    def ask(self, doors: Sequence[Door]) -> dict[str, Report]:
        """All machines at once, the deploy host too; by name, in the settings' order."""
        return asyncio.run(self._ask(doors))

    async def _ask(self, doors: Sequence[Door]) -> dict[str, Report]:
        reports = await asyncio.gather(*(self._node(door) for door in doors), self._here())
        return {report.node: report for report in reports}

    def questions(self, machine: Machine, asks_docker: bool = True) -> str:
        """The probe script's standard input."""
        name = self._registry.rpartition(":")[0]
        lines = [f"resolve\t{name}", f"holds\t{self._address}", f"trust\t/etc/docker/certs.d/{self._registry}/ca.crt"]
        lines += [f"file\t{path}" for path in machine.files]
        lines += [f"block\t{path}" for path in machine.blocks]
        lines += [f"url\t{question.line}" for question in machine.readiness]
        if machine.info and asks_docker:
            lines.append("info\t" + "{{println}}".join(machine.info))
        return "\n".join(lines) + "\n"

    async def _node(self, door: Door) -> Report:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._over_ssh(door)
        except TimeoutError:
            return Report(door.name, error=f"{door.host} did not answer within {self._seconds:.0f} s")
        except asyncssh.HostKeyNotVerifiable:
            return Report(door.name, error=f"{door.host} shows another host key than the pinned one")
        except asyncssh.PermissionDenied:
            return Report(door.name, error=f"{door.host} does not let {door.user} in with {door.key_file}")
        except (asyncssh.Error, asyncssh.KeyImportError, OSError) as error:
            return Report(door.name, error=f"{door.host} can't be reached: {_reason(error)}")

    async def _over_ssh(self, door: Door) -> Report:
        pinned = asyncssh.import_public_key(door.host_key)
        connection = await asyncssh.connect(
            door.host,
            port=door.port,
            username=door.user,
            client_keys=[str(door.key_file)],
            known_hosts=([pinned], [], []),
            config=[],
            agent_path=None,
        )
        async with connection:
            machine = self._machines.get(door.name, Machine())
            asked = time.time()
            command = shlex.join(["sh", "-c", SCRIPT.read_text(encoding="utf-8"), "berth-probe", self._stack])
            result = await connection.run(
                command if door.user == "root" else f"sudo -n {command}", input=self.questions(machine)
            )
        if result.exit_status:
            return Report(door.name, error=_sudo(door, str(result.stderr)))
        report = parse(door.name, str(result.stdout).splitlines())
        if report.clock is not None:
            report.skew = max(0, int(asked) - report.clock, report.clock - int(time.time()))
        return report

    async def _here(self) -> Report:
        process = await asyncio.create_subprocess_exec(
            "sh",
            str(SCRIPT),
            self._stack,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        questions = self.questions(self._machines.get(DEPLOY_HOST, Machine()))
        try:
            async with asyncio.timeout(self._seconds):
                out, _ = await process.communicate(questions.encode())
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            return Report(DEPLOY_HOST, error=f"no answer within {self._seconds:.0f} s")
        return parse(DEPLOY_HOST, out.decode(errors="replace").splitlines())


def _reason(error: BaseException) -> str:
    text = str(getattr(error, "strerror", None) or getattr(error, "reason", None) or error)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__


def _sudo(door: Door, stderr: str) -> str:
    if "password" in stderr:
        return f"sudo asks {door.user} for a password: allow it without one, or log in as root"
    return f"the probe failed: {(stderr.strip().splitlines() or ['no reason given'])[-1]}"


def parse(node: str, lines: Iterable[str]) -> Report:
    """The probe script's facts as a report."""
    report, ended, trust = Report(node), False, []
    for line in lines:
        word, *values = line.split("\t")
        match word, values:
            case "os", [name]:
                report.os = name
            case "init", [system]:
                report.init = system
            case "time", [seconds]:
                report.clock = int(seconds)
            case "unit", [active, reload]:
                report.unit = (active, reload)
            case "disk", [mount, free, used]:
                report.disks.append(DiskFact(mount, int(free), used))
            case "docker", ["running", version]:
                report.docker = version
            case "docker", ["stopped", reason]:
                report.docker_error = reason
            case "container", [service, name, image, state, health, restarts, version]:
                shown = ContainerFact(service, name.lstrip("/"), image, state, health, int(restarts), version)
                report.containers[shown.name] = shown
            case "file", [path, mode, checksum]:
                report.files[path] = (mode, checksum)
            case "block", [path, checksum]:
                report.blocks[path] = checksum
            case "url", [url, wanted, got]:
                # curl puts its "no status" behind its own words.
                report.urls[url] = (wanted, got.removesuffix(" 000"))
            case "resolve", [name, address]:
                report.resolves[name] = address
            case "holds", [address, "yes"]:
                report.holds |= {address}
            case "info", rest:
                report.info.append("\t".join(rest))
            case "trust", rest:
                trust.append("\t".join(rest))
            case "end", []:
                ended = True
    report.trust = "\n".join(trust)
    if not ended:
        report.error = "the probe's answer broke off"
    return report
