"""Loopback sshd that runs what it is told on this machine: a node as the probe meets it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import asyncssh

from operations.ssh import SshHost


class _Forwarding(asyncssh.SSHServer):
    """Leads on to ports of its own machine, as sshd does."""

    def connection_requested(self, *_: object) -> bool:
        return True


class Node:
    """An SSH server with a key of its own, in a thread of its own."""

    def __init__(self, directory: Path, name: str = "node1", environment: dict[str, str] | None = None) -> None:
        self.name = name
        self.user_key = directory / f"{name}-user"
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.commands: list[str] = []
        self.hangs = False
        self._environment = environment
        client = asyncssh.generate_private_key("ssh-ed25519")
        client.write_private_key(str(self.user_key))
        self._authorized = directory / f"{name}-authorized"
        client.write_public_key(str(self._authorized))
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self.port: int = self._server.get_port()

    async def _listen(self) -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[self.host_key],
            authorized_client_keys=str(self._authorized),
            server_factory=_Forwarding,
            process_factory=self._process,
            encoding=None,
        )

    async def _process(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self.commands.append(process.command or "")
        if self.hangs:
            await asyncio.sleep(60)
        text = await process.stdin.read()
        run = await asyncio.create_subprocess_exec(
            "sh", "-c", process.command or "", stdin=-1, stdout=-1, stderr=-1, env=self._environment
        )
        out, err = await run.communicate(text)
        process.stdout.write(out)
        process.stderr.write(err)
        process.exit(run.returncode or 0)

    def ssh_host(self, **changes: object) -> SshHost:
        """The way into this node, as the stack's outputs would give it."""
        known = {
            "name": self.name,
            "hostname": "127.0.0.1",
            "port": self.port,
            "user": "root",
            "host_key": self.host_key.export_public_key().decode().strip(),
            "key_file": self.user_key,
            "address": "10.77.0.11",
            "roles": ("registry",),
        }
        return SshHost(**{**known, **changes})  # type: ignore[arg-type]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
