"""Reads the state of all nodes at once, over one SSH connection with a timeout each; changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncssh

from components.lib.host_files.shell import MACHINE_SCRIPT
from config.naming import VIRTUAL_ADDRESS_STAGE
from config.paths import ROOT
from operations.inspect.expected import DEPLOY_HOST, Machine
from operations.inspect.parser import parse
from operations.inspect.reports import Report
from operations.inspect.tls import error_text, served_certificate
from operations.ssh import SshHost
from plugins.ssh_target import CIPHERS, KEY_EXCHANGE, MACS

_HERE = Path(__file__).parent
_PARTS = [
    MACHINE_SCRIPT,
    ROOT / "components" / "firewall" / "scripts" / "in_force.sh",
    _HERE / "scripts" / "probe.sh",
]
TEXT = "".join(part.read_text(encoding="utf-8") for part in _PARTS)
SECONDS = 15.0


class Probe:
    """Queries all machines of a stack once."""

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

    def ask(self, hosts: Sequence[SshHost]) -> dict[str, Report]:
        """All machines at once, the deploy host too; by name, in the settings' order."""
        return asyncio.run(self._ask(hosts))

    async def _ask(self, hosts: Sequence[SshHost]) -> dict[str, Report]:
        reports = await asyncio.gather(*(self._node(host) for host in hosts), self._here())
        return {report.node: report for report in reports}

    def questions(self, machine: Machine, asks_docker: bool = True) -> str:
        """The probe script's standard input."""
        name = self._registry.rpartition(":")[0]
        lines = [f"resolve\t{name}", f"holds\t{self._address}", f"trust\t/etc/docker/certs.d/{self._registry}/ca.crt"]
        lines += [f"file\t{path}" for path in machine.files]
        lines += [f"block\t{path}" for path in machine.blocks]
        lines += [f"url\t{question.line}" for question in machine.readiness]
        lines += [f"journal\t{unit}" for unit in self._journals]
        lines += [f"keepalived\t{one.name}" for one in machine.services if one.service == VIRTUAL_ADDRESS_STAGE]
        lines += machine.asks
        if machine.firewall:
            lines.append("firewall")
        if machine.info and asks_docker:
            lines.append("info\t" + "{{println}}".join(machine.info))
        return "\n".join(lines) + "\n"

    async def _node(self, host: SshHost) -> Report:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._over_ssh(host)
        except TimeoutError:
            return Report(host.name, error=f"{host.hostname} did not answer within {self._seconds:.0f} s")
        except asyncssh.HostKeyNotVerifiable:
            return Report(host.name, error=f"{host.hostname} shows another host key than the pinned one")
        except asyncssh.PermissionDenied:
            return Report(host.name, error=f"{host.hostname} refuses {host.user} with the key {host.key_file}")
        except (asyncssh.Error, asyncssh.KeyImportError, OSError) as error:
            return Report(host.name, error=f"{host.hostname} can't be reached: {error_text(error)}")

    async def _over_ssh(self, host: SshHost) -> Report:
        pinned = asyncssh.import_public_key(host.host_key)
        connection = await asyncssh.connect(
            host.hostname,
            port=host.port,
            username=host.user,
            client_keys=[self._key(host.key_file)],
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
            machine = self._machines.get(host.name, Machine())
            asked = time.time()
            command = shlex.join(["sh", "-c", TEXT, "berth-probe", self._stack])
            result = await connection.run(
                command if host.user == "root" else f"sudo -n {command}", input=self.questions(machine)
            )
            if result.exit_status:
                return Report(host.name, error=_sudo(host, str(result.stderr)))
            report = parse(host.name, str(result.stdout).splitlines())
            name = self._registry.rpartition(":")[0]
            for listener in machine.listeners:
                place = listener.address, listener.port
                report.served[place] = await served_certificate(connection, name, *place)
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


def _sudo(host: SshHost, stderr: str) -> str:
    if "password" in stderr:
        return f"sudo asks {host.user} for a password: allow it without one, or log in as root"
    return f"the probe failed: {(stderr.strip().splitlines() or ['no reason given'])[-1]}"
