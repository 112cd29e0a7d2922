"""The one reader of nodes: asks all of them at once, one bounded connection each, and changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import asyncssh

from components.lib.host_files.shell import MACHINE_SCRIPT
from config.paths import ROOT
from operations.inspect.expected import DEPLOY_HOST, Machine, fingerprint
from operations.ssh import Door
from plugins.ssh_target import CIPHERS, KEY_EXCHANGE, MACS

_HERE = Path(__file__).parent
_PARTS = [
    MACHINE_SCRIPT,
    ROOT / "components" / "firewall" / "scripts" / "in_force.sh",
    _HERE / "scripts" / "probe.sh",
]
TEXT = "".join(part.read_text(encoding="utf-8") for part in _PARTS)
SECONDS = 15.0
UNIT_PROPERTIES = ("ActiveState", "UnitFileState", "Id", "NeedDaemonReload")


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
    id: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    """As `docker inspect` shows it."""
    host: Mapping[str, Any] = field(default_factory=dict)
    """Likewise, the part about the machine it runs on."""
    reason: str = ""
    """What the health check said that was made when Docker called it unhealthy."""

    @property
    def is_healthy(self) -> bool:
        # Docker says "starting" until the first check, which comes a minute after the start.
        return self.state == "running" and self.health != "unhealthy"

    @property
    def condition(self) -> str:
        """State and health in words."""
        words = self.state if self.health == "-" else f"{self.state}, {self.health}"
        return f"{words}: {self.reason}" if self.reason else words


@dataclass(frozen=True)
class DiskFact:
    """Free space of one file system."""

    mount: str
    free_kib: int
    used: str


@dataclass
class UnitFact:
    """A unit as systemd has it."""

    active: str = ""
    enabled: str = ""
    stale: bool = False
    """Its files changed since systemd read them."""


@dataclass(frozen=True)
class JournalFact:
    """What a unit has written to the journal since it was last started."""

    errors: int
    fatal: int
    """Messages after which a program ends: fatal errors, panics."""
    last: str
    """The last of the fatal ones."""


@dataclass
class FileFact:
    """A file as it lies there; what could not be found out is empty."""

    mode: str = ""
    owners: tuple[str, ...] = ()
    """user:group in names and in numbers."""
    checksum: str = ""


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
    units: dict[str, UnitFact] = field(default_factory=dict)
    """Docker's, by name; none without systemd."""
    journals: dict[str, JournalFact] = field(default_factory=dict)
    docker: str | None = None
    """The daemon's version, None where it does not answer."""
    docker_error: str = ""
    containers: dict[str, ContainerFact] = field(default_factory=dict)
    disks: list[DiskFact] = field(default_factory=list)
    files: dict[str, FileFact] = field(default_factory=dict)
    """Those that are there, by path."""
    blocks: dict[str, str] = field(default_factory=dict)
    """sha256, `missing` or `unreadable`"""
    served: dict[tuple[str, int], str] = field(default_factory=dict)
    """sha256 of the certificate shown at an address and port, or why there was none to see (in brackets)."""
    info: list[str] = field(default_factory=list)
    urls: dict[str, tuple[str, str]] = field(default_factory=dict)
    resolves: dict[str, str] = field(default_factory=dict)
    holds: frozenset[str] = frozenset()
    """Addresses that were asked for and are on this machine now."""
    told: dict[str, list[list[str]]] = field(default_factory=dict)
    """Answers to the stages' own questions, by the question's first word."""
    trust: str = ""
    """The CA file that Docker reads for the registry, PEM."""


class Probe:
    """One round of questions to a stack's machines."""

    def __init__(
        self,
        stack: str,
        registry: str,
        address: str,
        machines: Mapping[str, Machine],
        seconds: float = SECONDS,
        journals: Sequence[str] = (),
    ) -> None:
        self._stack = stack
        self._registry = registry
        self._address = address
        self._machines = machines
        self._seconds = seconds
        self._journals = journals
        self._keys: dict[Path, asyncssh.SSHKey] = {}

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
        lines += [f"journal\t{unit}" for unit in self._journals]
        lines += machine.asks
        if machine.firewall:
            lines.append("firewall")
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
            client_keys=[self._key(door.key_file)],
            known_hosts=([pinned], [], []),
            kex_algs=KEY_EXCHANGE,
            encryption_algs=CIPHERS,
            mac_algs=MACS,
            compression_algs=["none"],
            config=[],
            agent_path=None,
            gss_host=None,
        )
        async with connection:
            machine = self._machines.get(door.name, Machine())
            asked = time.time()
            command = shlex.join(["sh", "-c", TEXT, "berth-probe", self._stack])
            result = await connection.run(
                command if door.user == "root" else f"sudo -n {command}", input=self.questions(machine)
            )
            if result.exit_status:
                return Report(door.name, error=_sudo(door, str(result.stderr)))
            report = parse(door.name, str(result.stdout).splitlines())
            name = self._registry.rpartition(":")[0]
            for listener in machine.listeners:
                place = listener.address, listener.port
                report.served[place] = await _certificate(connection, name, *place)
        if report.clock is not None:
            report.skew = max(0, int(asked) - report.clock, report.clock - int(time.time()))
        return report

    def _key(self, file: Path) -> asyncssh.SSHKey:
        """Read once, however many nodes it opens."""
        if file not in self._keys:
            self._keys[file] = asyncssh.read_private_key(file)
        return self._keys[file]

    async def _here(self) -> Report:
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", TEXT, "berth-probe", self._stack),
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


async def _certificate(connection: asyncssh.SSHClientConnection, name: str, address: str, port: int) -> str:
    """What a listener of the node shows, asked from the node itself; nothing is sent after that."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    there, here = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(there, here, server_hostname=name)
    try:
        reader, writer = await connection.open_connection("127.0.0.1" if address == "0.0.0.0" else address, port)
        with contextlib.closing(writer):
            while not await _shaken(session, there, here, reader, writer):
                pass
    except (asyncssh.Error, OSError) as error:
        return f"({_reason(error)})"
    return fingerprint(session.getpeercert(binary_form=True) or b"")


async def _shaken(session: ssl.SSLObject, there: ssl.MemoryBIO, here: ssl.MemoryBIO, reader: Any, writer: Any) -> bool:
    """One step of a handshake; whether it was the last."""
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
        return True
    writer.write(here.read())
    if not there.write(await reader.read(65536)):
        raise ConnectionError("the connection was closed")
    return False


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
    units: list[tuple[str, str]] = []
    for line in lines:
        word, *values = line.split("\t")
        match word, values:
            case "os", [name]:
                report.os = name
            case "init", [system]:
                report.init = system
            case "time", [seconds]:
                report.clock = int(seconds)
            case "unit", [text]:
                units.append(text.partition("=")[::2])
            case "journal", [unit, errors, fatal, last]:
                report.journals[unit] = JournalFact(int(errors), int(fatal), last)
            case "disk", [mount, free, used]:
                report.disks.append(DiskFact(mount, int(free), used))
            case "docker", ["running", version]:
                report.docker = version
            case "docker", ["stopped", reason]:
                report.docker_error = reason
            case "container", [service, name, image, state, health, restarts, version, id_, own, host]:
                about = (service, name.lstrip("/"), image, state, health, int(restarts), version, id_)
                report.containers[about[1]] = ContainerFact(*about, json.loads(own), json.loads(host))
            case "health", [name, health, reason]:
                found = report.containers[name.lstrip("/")]
                report.containers[found.name] = replace(found, health=health, reason=reason.strip())
            case (("stat" | "sum" | "hidden"), _):
                _take_file(report.files, word, values)
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
            case (("etcd" | "swarm" | "firewall"), _):
                report.told.setdefault(word, []).append(values)
            case "trust", rest:
                trust.append("\t".join(rest))
            case "end", []:
                ended = True
    report.trust = "\n".join(trust)
    report.units = _units(units)
    if not ended:
        report.error = "the probe's answer broke off"
    return report


def _take_file(files: dict[str, FileFact], word: str, values: Sequence[str]) -> None:
    match word, values:
        case "stat", [mode, names, numbers, path]:
            files[path] = FileFact(mode, (names, numbers))
        case "sum", [text]:
            checksum, _, path = text.partition("  ")
            if checksum.startswith("\\"):  # how sha256sum marks a name in which it doubled the backslashes
                checksum, path = checksum[1:], path.replace("\\\\", "\\")
            files.setdefault(path, FileFact()).checksum = checksum
        case "hidden", [path]:
            files[path] = FileFact()


def _units(properties: Iterable[tuple[str, str]]) -> dict[str, UnitFact]:
    """systemd's properties of one unit after the other, each unit's in an order of systemd's own."""
    units, described = {}, dict[str, str]()
    for key, value in properties:
        if key:
            described[key] = value
        if len(described) == len(UNIT_PROPERTIES):
            active, enabled, name, stale = (described[key] for key in UNIT_PROPERTIES)
            units[name] = UnitFact(active, enabled, stale == "yes")
            described = {}
    return units
