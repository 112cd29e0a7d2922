"""State backends of the tests' own, and people who share a stack by one of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from config.paths import ROOT
from operations.pulumi import cli
from operations.pulumi.session import Session
from operations.workspace import StackFile, Workspace
from tests import minio_server
from tests.minio_server import MinioServer
from tests.postgresql_server import PostgresqlServer
from tests.unit.conftest import LAB

CLI, WHY_NOT = cli.fitting()

PROGRAM = """
import pulumi
from pulumi import ResourceOptions as O
from pulumi_command import local
from pulumi_random import RandomPassword

wait = WAIT
password = RandomPassword("password", length=12)
first = local.Command("first", create="wc -c", stdin=password.result)
slow = local.Command("slow", create=f"while [ -e {wait} ]; do touch {wait}.reached; sleep 0.1; done; echo slow",
    opts=O(depends_on=[first]))
last = local.Command("last", create="echo last", opts=O(depends_on=[slow]))
pulumi.export("password", password.result)
pulumi.export("last", last.stdout)
"""


class Server(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...


@dataclass(frozen=True)
class Backend:
    """Where state is kept, and the server that keeps it; None for files."""

    environment: Mapping[str, str]
    server: Server | None = None


@dataclass(frozen=True)
class Ended:
    code: int
    said: str


class Person:
    """Somebody with a checkout and a `BERTH_HOME` of their own."""

    def __init__(self, folder: Path, stack: str, backend: Backend, wait: Path) -> None:
        self.stack = stack
        self.wait = wait
        root, self.home = folder / "checkout", folder / "home"
        (root / "lab").mkdir(parents=True)
        self.home.mkdir()
        (self.home / "no-routes").write_text("Iface\n")
        (root / "lab" / "passphrase").write_text("correct horse\n")
        (root / "Pulumi.yaml").write_text("name: berth\nruntime: python\n")
        (root / "__main__.py").write_text(PROGRAM.replace("WAIT", repr(str(wait))))
        (root / f"Pulumi.{stack}.yaml").write_text(json.dumps({"config": LAB}))
        self.root = root
        self.move(backend)

    def move(self, backend: Backend) -> None:
        """Work with this backend from now on."""
        assert CLI is not None
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "AWS_", "BERTH_"))}
        self.environment: dict[str, str] = {**ours, **backend.environment, "PATH": f"{CLI.parent}:{ours['PATH']}"}

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root, self.home, self.environment["PULUMI_BACKEND_URL"])

    def start(self, *words: str) -> subprocess.Popen[str]:
        """`berth` with these words, in a session of its own."""
        argv = [sys.executable, "-m", "tests.backends.berth", str(self.root), str(self.home), *words]
        return subprocess.Popen(
            [*argv, "--stack", self.stack],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def berth(self, *words: str) -> Ended:
        return ended(self.start(*words))

    def up(self) -> str:
        done = self.berth("up")
        assert done.code == 0, done.said
        return done.said

    def start_up(self) -> subprocess.Popen[str]:
        """An `up` that has come to its slow command, where it stays until `wait` is removed."""
        self.wait.touch()
        process = self.start("up")
        reached, deadline = Path(f"{self.wait}.reached"), time.monotonic() + 60
        while not reached.exists():
            assert process.poll() is None and time.monotonic() < deadline, ended(process).said
            time.sleep(0.05)
        return process

    def session(self, monkeypatch: pytest.MonkeyPatch) -> Session:
        """Pulumi's CLI as `berth` calls it."""
        for name in [name for name in os.environ if name.startswith("PULUMI_")]:
            monkeypatch.delenv(name)
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
        return Session.open(self.workspace, StackFile.read(self.workspace, self.stack))


def ended(process: subprocess.Popen[str]) -> Ended:
    out, _ = process.communicate(timeout=180)
    return Ended(process.returncode, out)


@pytest.fixture(autouse=True, scope="session")
def pulumi() -> None:
    if CLI is None:
        pytest.skip(f"no Pulumi CLI to try backends with ({WHY_NOT}): ./berth up compiles one")


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MinioServer]:
    folder = tmp_path_factory.mktemp("minio")
    server = MinioServer(minio_server.program("minio", folder), folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    server = PostgresqlServer()
    try:
        server.start()
        yield server
        server.stop()
    finally:
        server.remove()


@pytest.fixture
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Backend]:
    """Makes an empty backend of a kind."""

    def make(kind: str) -> Backend:
        name = f"states-{uuid.uuid4().hex[:8]}"
        if kind == "file":
            (tmp_path / name).mkdir()
            return Backend({"PULUMI_BACKEND_URL": (tmp_path / name).as_uri()})
        if kind == "postgresql":
            database: PostgresqlServer = request.getfixturevalue("postgresql")
            return Backend({"PULUMI_BACKEND_URL": database.create(name)}, database)
        server: MinioServer = request.getfixturevalue("minio")
        server.store.within(name).ask("PUT").want(200)
        options = f"endpoint={server.endpoint}&s3ForcePathStyle=true&region=us-east-1"
        user, password = minio_server.ROOT
        login = {"AWS_ACCESS_KEY_ID": user, "AWS_SECRET_ACCESS_KEY": password}
        return Backend({"PULUMI_BACKEND_URL": f"s3://{name}?{options}", **login}, server)

    return make


@pytest.fixture(params=["file", "s3", "postgresql"])
def backend(request: pytest.FixtureRequest, made: Callable[[str], Backend]) -> Backend:
    return made(request.param)


@pytest.fixture
def people(backend: Backend, tmp_path: Path) -> Callable[[str], Person]:
    """Makes people who share one stack, whose name nobody else on this machine has."""
    stack = f"teams-{uuid.uuid4().hex[:8]}"

    def person(name: str) -> Person:
        return Person(tmp_path / name, stack, backend, tmp_path / "wait")

    return person


def resources(export: str) -> dict[str, dict[str, Any]]:
    """Resources of a `stack export`, by name."""
    return {one["urn"].rpartition("::")[2]: one for one in json.loads(export)["deployment"].get("resources", [])}
