"""One SSH connection per host for a whole run, shared by remote commands and by Docker over SSH.

Providers call from many threads; all connections live in one event loop in one background thread. A connection that
broke (the node restarted in the run) is dialled again. No credential is sent before the host key was found to be right.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import socket
import tempfile
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import asyncssh

from .provider import ProviderError

_T = TypeVar("_T")

# The cheapest of the safe ones first: a run on two cores may open a hundred connections at once.
_KEY_EXCHANGE = [
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "diffie-hellman-group16-sha512",
]
_CIPHERS = [
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes256-ctr",
]
_MACS = ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"]
_HOST_KEYS = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
]


@dataclass(frozen=True)
class Target:
    """A host, how to log in to it, and which host keys it may show."""

    host: str
    port: int = 22
    user: str = "root"
    private_key: str | None = field(default=None, repr=False)
    private_key_password: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    agent_socket: str | None = None
    host_keys: tuple[str, ...] | None = None
    """Public keys in OpenSSH's form; None means that none was given, and any is taken."""
    revoked_keys: tuple[str, ...] = ()
    dial_error_limit: int = 10
    per_dial_timeout: float = 15
    proxy: Target | None = None

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


@dataclass(frozen=True)
class Result:
    """What a remote command left behind."""

    stdout: bytes
    stderr: bytes
    exit: int | None
    signal: str | None = None


class SSHError(ProviderError):
    """A host could not be reached, trusted or logged in to."""


class ConnectionBroken(SSHError):
    """The connection ended while something was running over it."""


class _Client(asyncssh.SSHClient):
    """Checks the host key itself, so that a refusal can say what was expected and what was found."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.refusal: str | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.refusal = _refusal(self._target, key)
        return self.refusal is None


def _refusal(target: Target, found: asyncssh.SSHKey) -> str | None:
    """Why a host key is not trusted, or None."""
    if found in _keys(target.revoked_keys):
        return f"{target}: the host key {_fingerprint(found)} is revoked in known_hosts; nothing was sent to the host."
    if target.host_keys is None:
        return None
    expected = _keys(target.host_keys)
    if found in expected:
        return None
    known = ", ".join(map(_fingerprint, expected)) or "none known"
    return (
        f"{target}: the host key is not the expected one (expected {known}, found {_fingerprint(found)}); no "
        "credential was sent. If the host was reinstalled, put its new key in the settings; otherwise find out "
        "who answers there."
    )


def _keys(texts: tuple[str, ...]) -> list[asyncssh.SSHKey]:
    try:
        return [asyncssh.import_public_key(text) for text in texts]
    except asyncssh.KeyImportError as error:
        raise SSHError(
            f"a host key could not be read ({error}); give it as one line: type, key, optional comment"
        ) from None


def _fingerprint(key: asyncssh.SSHKey) -> str:
    return f"{key.get_algorithm()} {key.get_fingerprint()}"


class Session:
    """All SSH connections of one run."""

    def __init__(self, dials_at_once: int = 24) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._dials_at_once = dials_at_once
        self._dial_slots: asyncio.Semaphore | None = None
        self._connections: dict[tuple[Any, ...], asyncio.Task[asyncssh.SSHClientConnection]] = {}
        self._sessions: dict[tuple[Any, ...], asyncio.Semaphore] = {}
        self._tunnels: dict[tuple[Any, ...], Path] = {}
        self._sockets: tempfile.TemporaryDirectory[str] | None = None
        self._servers: list[asyncio.AbstractServer] = []

    def run(
        self,
        target: Target,
        command: str,
        stdin: str | bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Result:
        """Run one command to its end. A failing exit status is the caller's to judge."""
        data = stdin.encode() if isinstance(stdin, str) else stdin or b""
        return self._wait(self._run(target, command, data, dict(env or {}), timeout))

    def tunnel(self, target: Target, remote_socket: str = "/var/run/docker.sock") -> Path:
        """A local unix socket that leads to a unix socket of the host for the rest of the run."""
        return self._wait(self._tunnel(target, remote_socket))

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
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                (await task).abort()

    async def connection(self, target: Target) -> asyncssh.SSHClientConnection:
        """The host's one connection, dialled if there is none or the last one broke."""
        key = _identity(target)
        task = self._connections.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception() or task.result().is_closed())):
            task = asyncio.ensure_future(self._dial(target))
            self._connections[key] = task
        return await asyncio.shield(task)

    async def _dial(self, target: Target) -> asyncssh.SSHClientConnection:
        pause, failures = 0.2, 0
        if self._dial_slots is None:
            self._dial_slots = asyncio.Semaphore(self._dials_at_once)
        while True:
            try:
                async with self._dial_slots:
                    return await self._dial_once(target)
            except socket.gaierror as error:
                raise SSHError(f"{target}: the name cannot be resolved ({error}); check the node's ssh.host") from None
            except (TimeoutError, OSError, asyncssh.ConnectionLost) as error:
                failures += 1
                if 0 <= target.dial_error_limit < failures:
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
                server_host_key_algs=_host_key_algorithms(target),
                kex_algs=_KEY_EXCHANGE,
                encryption_algs=_CIPHERS,
                mac_algs=_MACS,
                compression_algs=["none"],
                client_keys=_client_keys(target),
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
        async with self._sessions.setdefault(_identity(target), asyncio.Semaphore(8)):
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
                if last or not connection.is_closed():
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
        with contextlib.suppress(Exception):
            far_reader, far_writer = await self._reach(target, remote_socket)
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
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
                if last or not connection.is_closed():
                    raise
        raise AssertionError


async def _pump(reader: Any, writer: Any) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


def _host_key_algorithms(target: Target) -> list[str]:
    """The pinned key's own kind first, or the server would show another key of its own."""
    pinned = [key.get_algorithm() for key in _keys(target.host_keys or ())]
    first = [name for name in _HOST_KEYS if name in pinned or (name.startswith("rsa-") and "ssh-rsa" in pinned)]
    return first + [name for name in _HOST_KEYS if name not in first]


def _client_keys(target: Target) -> list[asyncssh.SSHKey] | None:
    if target.private_key is None:
        return None
    try:
        return [_import(target.private_key, target.private_key_password)]
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        raise SSHError(
            f"{target}: the private key cannot be read; it must be an OpenSSH or PEM key, "
            "with its password if it has one"
        ) from None


def _identity(target: Target) -> tuple[Any, ...]:
    """Who may share a connection: the same login under the same trust, however their keys are spelled."""
    keys = _client_keys(target) or []
    parts = *(key.get_fingerprint() for key in keys), target.password or "", target.agent_socket or ""
    login = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    trust = None if target.host_keys is None else frozenset(map(_fingerprint, _keys(target.host_keys)))
    revoked = frozenset(map(_fingerprint, _keys(target.revoked_keys)))
    return target.host, target.port, target.user, login, trust, revoked, target.proxy


@functools.lru_cache(maxsize=64)
def _import(text: str, password: str | None) -> asyncssh.SSHKey:
    return asyncssh.import_private_key(text, password)


def _reason(error: BaseException) -> str:
    if isinstance(error, asyncio.TimeoutError | TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
