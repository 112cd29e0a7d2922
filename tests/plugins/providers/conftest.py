"""An SSH server of one's own, a Docker daemon if there is one, and short ways to call a provider."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import subprocess
import tarfile
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import docker
import pytest

from plugins.interface import Context, Created, Provider
from plugins.providers import load
from plugins.ssh import Session

PROGRAM = r"""
#include <string.h>
#include <stdio.h>
#include <unistd.h>
int main(int count, char **words) {
  const char *what = count > 1 ? words[1] : "";
  if (!strcmp(what, "well")) return 0;
  if (!strcmp(what, "sick")) { puts("not well"); return 1; }
  if (!strcmp(what, "die")) { puts("last words"); return 7; }
  for (;;) pause();
}
"""


def context(name: str, preview: bool = False) -> Context:
    """What surrounds a call for the resource of this name."""
    return Context(f"urn:pulumi:test::project::some:Type::{name}", preview)


@dataclass
class Server:
    """A small SSH server in a thread: it runs commands with the shell and counts its connections."""

    home: Path
    host_key: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    user_key: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    connections: int = 0
    logins: int = 0
    port: int = 0
    accepts: tuple[str, ...] = ("GREETING",)

    def __post_init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._open: list[asyncssh.SSHServerConnection] = []
        self.start()

    @property
    def public_host_key(self) -> str:
        return self.host_key.export_public_key().decode()

    @property
    def private_key(self) -> str:
        return self.user_key.export_private_key().decode()

    def connection(self, **changes: Any) -> dict[str, Any]:
        """The `connection` input that leads here."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "privateKey": self.private_key,
            "hostKey": self.public_host_key,
            **changes,
        }

    def start(self) -> None:
        self._call(self._listen())

    def stop(self) -> None:
        """End as a restarting machine does: the listener and all connections are gone."""
        self._call(self._end())

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _listen(self) -> None:
        self._listener = await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_factory=lambda: _Gate(self),
            server_host_keys=[self.host_key],
            process_factory=self._run,
            encoding=None,
        )
        self.port = self._listener.get_port()

    async def _end(self) -> None:
        self._listener.close()
        for connection in self._open:
            connection.abort()
        self._open.clear()
        await self._listener.wait_closed()

    async def _run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        sent = {key: value for key, value in process.env.items() if key in self.accepts or key.startswith("PULUMI")}
        child = await asyncio.create_subprocess_shell(
            process.command or "true",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.home,
            env={"PATH": os.environ["PATH"], **sent},
        )
        out, err = await child.communicate(await process.stdin.read())
        process.stdout.write(out)
        process.stderr.write(err)
        process.exit(child.returncode or 0)


class _Gate(asyncssh.SSHServer):
    def __init__(self, server: Server) -> None:
        self._server = server

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._server.connections += 1
        self._server._open.append(conn)

    def begin_auth(self, username: str) -> bool:
        self._server.logins += 1
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return key == self._server.user_key.convert_to_public()

    def unix_connection_requested(self, dest_path: str) -> bool:
        return True


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session()
    yield session
    session.close()


@dataclass
class Made:
    """A resource with the inputs that made it."""

    provider: Provider
    type: str
    inputs: dict[str, Any]
    created: Created

    @property
    def outputs(self) -> dict[str, Any]:
        return self.created.outputs

    def diff(self, **changes: Any) -> Any:
        """What the provider says to other inputs; None takes one away."""
        news = {key: value for key, value in {**self.inputs, **changes}.items() if value is not None}
        return self.provider.diff(self.type, self.created.id, self.inputs, self.outputs, news)

    def read(self) -> Created | None:
        return self.provider.read(self.type, self.created.id, self.inputs, self.outputs)

    def imported(self, id_: str | None = None) -> ImportedMade:
        """The same resource as an import says it is."""
        found = self.provider.import_(self.type, id_ or self.created.id)
        assert found is not None
        checked = self.provider.check(self.type, "urn::imported", found.inputs.inputs, found.inputs.inputs)
        assert not checked.failures, "inputs of an import are what can be set, and nothing else"
        created = Created(found.id, found.outputs)
        return ImportedMade(self.provider, self.type, found.inputs.inputs, created, made_by=self.inputs)

    def delete(self) -> None:
        self.provider.delete(self.type, self.created.id, self.inputs, self.outputs, context("x"))


@dataclass(kw_only=True)
class ImportedMade(Made):
    """An imported resource, and the inputs of the program that once made it."""

    made_by: dict[str, Any]

    def diff(self, **changes: Any) -> Any:
        """What the provider says to that program."""
        news = {key: value for key, value in {**self.made_by, **changes}.items() if value is not None}
        return self.provider.diff(self.type, self.created.id, self.inputs, self.outputs, news)


def make(provider: Provider, type_: str, resource: str, /, **inputs: Any) -> Made:
    """Check the inputs and create the resource."""
    checked = provider.check(type_, f"urn::{resource}", None, inputs)
    assert not checked.failures, checked.failures
    return Made(provider, type_, checked.inputs, provider.create(type_, checked.inputs, context(resource)))


@pytest.fixture
def provider(session: Session) -> Any:
    """A configured provider of a package."""
    packages = load(session)
    made: list[Provider] = []

    def configured(package: str, **config: Any) -> Provider:
        made.append(packages[package].configure(config))
        return made[-1]

    yield configured
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def daemon() -> Iterator[docker.APIClient]:
    """The local Docker daemon."""
    try:
        client = docker.APIClient(version="auto")
    except Exception:
        pytest.skip("no Docker daemon answers on this machine")
    yield client
    client.close()


@pytest.fixture(scope="session")
def tiny_image(daemon: docker.APIClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image of one static program, by a name of its own."""
    if shutil.which("gcc") is None:
        pytest.skip("no C compiler to make a tiny image with")
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "tiny.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-static", "-o", str(folder / "tiny"), str(folder / "tiny.c")], check=True)
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        archive.add(folder / "tiny", "bin/tiny")
    name = f"berth-test-{uuid.uuid4().hex[:8]}"
    daemon.import_image_from_data(layer.getvalue(), name, "1")
    yield f"{name}:1"
    daemon.remove_image(f"{name}:1", force=True)
