"""One SSH connection per host for a whole run, shared by remote commands and by Docker over SSH.

Providers call from many threads; all connections live in one event loop in one background thread. A connection that
broke (the node restarted in the run) is dialled again. No credential is sent before the host key was found to be right.
A cancelled run dials no more and begins no more commands; one that runs on a host is left to finish.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncssh

from plugins.ssh_target import (
    CIPHERS,
    KEY_EXCHANGE,
    MACS,
    SSHError,
    Target,
    client_keys,
    host_key_algorithms,
    identity,
    refusal,
)

__all__ = ["Cancelled", "Result", "SSHError", "Session", "Target"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Result:
    """What a remote command left behind."""

    stdout: bytes
    stderr: bytes
    exit: int | None
    signal: str | None = None


class ConnectionBroken(SSHError):
    """The connection ended while something was running over it."""


class Cancelled(SSHError):
    """The run was cancelled while something was waited for."""

    def __init__(self, what: object) -> None:
        super().__init__(f"{what}: the run was cancelled before this was done; run again to go on")


class _Client(asyncssh.SSHClient):
    """Checks the host key itself, so that an error can name the expected and the found one."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.refusal: str | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.refusal = refusal(self._target, key)
        return self.refusal is None


class Session:
    """All SSH connections of one run."""

    def __init__(self, dials_at_once: int = 24) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._dials_at_once = dials_at_once
        self._dial_slots: asyncio.Semaphore | None = None
        self._connections: dict[tuple[Any, ...], asyncio.Task[asyncssh.SSHClientConnection]] = {}
        self._given_up: set[tuple[Any, ...]] = set()
        self._sessions: dict[tuple[Any, ...], asyncio.Semaphore] = {}
        self._tunnels: dict[tuple[Any, ...], Path] = {}
        self._sockets: tempfile.TemporaryDirectory[str] | None = None
        self._servers: list[asyncio.AbstractServer] = []
        self._cancelled = threading.Event()

    def run(
        self,
        target: Target,
        command: str,
        stdin: str | bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Result:
        """Run one command to its end. The caller decides about a failing exit status."""
        data = stdin.encode() if isinstance(stdin, str) else stdin or b""
        return self._wait(self._run(target, command, data, dict(env or {}), timeout))

    def tunnel(self, target: Target, remote_socket: str = "/var/run/docker.sock") -> Path:
        """A local unix socket that leads to a unix socket of the host for the rest of the run."""
        return self._wait(self._tunnel(target, remote_socket))

    def cancel(self) -> None:
        """End every dialling and waiting at once; connections stay open for what runs over them."""
        self._cancelled.set()
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._end_dialling)

    def _end_dialling(self) -> None:
        for task in self._connections.values():
            task.cancel()

    def pause(self, seconds: float, what: str) -> None:
        """Wait before another try of `what`, which is not made once the run was cancelled."""
        if self._cancelled.wait(seconds):
            raise Cancelled(what)

    def close(self) -> None:
        """Close all connections; the session cannot be used afterwards."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
        if self._sockets is not None:
            self._sockets.cleanup()

    def _wait(self, work: Coroutine[Any, Any, _T]) -> _T:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="ssh", daemon=True)
                self._thread.start()
            loop = self._loop
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for task in self._connections.values():
            with contextlib.suppress(asyncio.CancelledError, Exception):
                if task.done():
                    task.result().abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def connection(self, target: Target) -> asyncssh.SSHClientConnection:
        """The host's one connection, dialled if there is none or the last one broke."""
        key = identity(target)
        task = self._connections.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception() or task.result().is_closed())):
            if self._cancelled.is_set():
                raise Cancelled(target)
            task = asyncio.ensure_future(self._dial(target))
            self._connections[key] = task
        return await asyncio.shield(task)

    async def _dial(self, target: Target) -> asyncssh.SSHClientConnection:
        try:
            return await self._dial_patiently(target)
        except asyncio.CancelledError:
            if self._cancelled.is_set():
                raise Cancelled(target) from None
            raise

    async def _dial_patiently(self, target: Target) -> asyncssh.SSHClientConnection:
        pause, failures, key = 0.2, 0, identity(target)
        if self._dial_slots is None:
            self._dial_slots = asyncio.Semaphore(self._dials_at_once)
        while True:
            try:
                async with self._dial_slots:
                    connection = await self._dial_once(target)
                self._given_up.discard(key)
                return connection
            except socket.gaierror as error:
                raise SSHError(f"{target}: the name cannot be resolved ({error}); check the node's ssh.host") from None
            except (TimeoutError, OSError, asyncssh.ConnectionLost) as error:
                failures += 1
                # A host that was given up once gets one more try from whoever else needs it, not ten.
                if 0 <= target.dial_error_limit < failures or key in self._given_up:
                    self._given_up.add(key)
                    raise SSHError(
                        f"{target}: no SSH connection after {failures} attempts, the last: {_reason(error)}. "
                        "Check that the host is up, that sshd listens there and that no firewall is between."
                    ) from None
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 5)

    async def _dial_once(self, target: Target) -> asyncssh.SSHClientConnection:
        client = _Client(target)
        through = await self.connection(target.proxy) if target.proxy else ()
        limit = target.per_dial_timeout or None
        try:
            return await asyncssh.connect(
                target.host,
                target.port,
                username=target.user,
                config=None,
                tunnel=through,
                client_factory=lambda: client,
                known_hosts=([], [], []),
                server_host_key_algs=host_key_algorithms(target),
                kex_algs=KEY_EXCHANGE,
                encryption_algs=CIPHERS,
                mac_algs=MACS,
                compression_algs=["none"],
                client_keys=client_keys(target),
                password=target.password,
                agent_path=target.agent_socket,
                gss_host=None,
                connect_timeout=limit,
                login_timeout=limit or 0,
                keepalive_interval=5,
                keepalive_count_max=6,
            )
        except asyncssh.PermissionDenied:
            raise SSHError(
                f"{target}: the host accepts neither key nor password; check the user and that its authorized_keys "
                "has the public part of the key in the settings"
            ) from None
        except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
            raise SSHError(client.refusal or f"{target}: no agreement on how to connect ({error})") from None
        except asyncssh.ConnectionLost:
            raise
        except asyncssh.Error as error:
            raise SSHError(client.refusal or f"{target}: {error}") from None

    async def _run(
        self, target: Target, command: str, stdin: bytes, env: dict[str, str], timeout: float | None
    ) -> Result:
        # OpenSSH takes no more than ten sessions at once on a connection.
        async with self._sessions.setdefault(identity(target), asyncio.Semaphore(8)):
            if self._cancelled.is_set():
                raise Cancelled(target)
            return await self._run_now(target, command, stdin, env, timeout)

    async def _run_now(
        self, target: Target, command: str, stdin: bytes, env: dict[str, str], timeout: float | None
    ) -> Result:
        process = await self._start(target, command, env)
        with contextlib.suppress(OSError):  # a command need not read what it is given
            if stdin:
                process.stdin.write(stdin)
            process.stdin.write_eof()
        try:
            stdout, stderr = await asyncio.wait_for(process.communicate(), timeout)
        except TimeoutError:
            process.close()
            raise SSHError(f"{target}: the command did not end within {timeout:g} seconds") from None
        if process.exit_status is None and process.exit_signal is None:
            raise ConnectionBroken(
                f"{target}: the connection broke while a command was running; run again to see its state"
            )
        signal = process.exit_signal[0] if process.exit_signal else None
        return Result(stdout, stderr, None if signal else process.exit_status, signal)

    async def _start(self, target: Target, command: str, env: dict[str, str]) -> asyncssh.SSHClientProcess[bytes]:
        for last in (False, True):
            connection = await self.connection(target)
            try:
                return await connection.create_process(command, env=env, encoding=None)
            except (asyncssh.ConnectionLost, asyncssh.ChannelOpenError, OSError) as error:
                # Nothing ran yet: a connection found dead here is one that a restarted node left behind.
                if last or not await _is_dead(connection):
                    raise SSHError(f"{target}: no command can be started ({_reason(error)})") from None
        raise AssertionError

    async def _tunnel(self, target: Target, remote_socket: str) -> Path:
        key = (target, remote_socket)
        if key not in self._tunnels:
            await self.connection(target)
            if self._sockets is None:
                self._sockets = tempfile.TemporaryDirectory(prefix="ssh-")
            path = Path(self._sockets.name) / f"{len(self._tunnels)}.sock"
            self._tunnels[key] = path

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await self._carry(target, remote_socket, reader, writer)

            self._servers.append(await asyncio.start_unix_server(serve, str(path)))
        return self._tunnels[key]

    async def _carry(
        self, target: Target, remote_socket: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(Exception, asyncio.CancelledError):  # asyncio prints what a handler lets through
            far_reader, far_writer = await self._reach(target, remote_socket)
            there = asyncio.ensure_future(_pump(reader, far_writer))
            try:
                await _pump(far_reader, writer)  # all is over when the host's side has nothing more to say
            finally:
                there.cancel()
                far_writer.close()
        writer.close()

    async def _reach(self, target: Target, remote_socket: str) -> tuple[Any, Any]:
        for last in (False, True):
            connection = await self.connection(target)
            try:
                return await connection.open_unix_connection(remote_socket)
            except asyncssh.ChannelOpenError:
                # The server forbids forwarding of sockets; Docker's own way in needs only a command.
                process = await self._start(target, "docker system dial-stdio", {})
                return process.stdout, process.stdin
            except (asyncssh.ConnectionLost, OSError):
                if last or not await _is_dead(connection):
                    raise
        raise AssertionError


async def _is_dead(connection: asyncssh.SSHClientConnection) -> bool:
    # A connection that broke a moment ago takes no channel any more before it says that it is closed.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(connection.wait_closed(), 0.5)
    return connection.is_closed()


async def _pump(reader: Any, writer: Any) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


def _reason(error: BaseException) -> str:
    if isinstance(error, asyncio.TimeoutError | TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
