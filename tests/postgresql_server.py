"""A PostgreSQL server of one's own on the loopback address, from Debian's package."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.minio_server import free_port

USER, PASSWORD = "berth", "a-secret-for-the-state"
WHY_NOT = "no PostgreSQL here (Debian's package postgresql): ./berth test installs it"


def programs() -> Path:
    """The folder of the newest version's programs, which Debian keeps off PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.skip(WHY_NOT)
    return found[-1].parent


class PostgresqlServer:
    """A cluster in a temporary folder, which keeps what it holds while it is stopped."""

    def __init__(self) -> None:
        self._programs = programs()
        # Not below pytest's own folder: another user than root must reach it.
        self._folder = Path(tempfile.mkdtemp(prefix="berth-postgresql-"))
        self._user = "postgres" if os.geteuid() == 0 else None
        password = self._folder / "password"
        password.write_text(PASSWORD)
        if self._user:
            shutil.chown(self._folder, self._user)
            shutil.chown(password, self._user)
        self.port = free_port()
        self._run("initdb", "--auth=scram-sha-256", f"--username={USER}", f"--pwfile={password}", "--no-sync")

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k '' -c fsync=off"
        self._run("pg_ctl", "start", "--wait", f"--log={self._folder}/log", f"--options={options}")

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "--mode=immediate")

    def remove(self) -> None:
        shutil.rmtree(self._folder)

    def create(self, database: str) -> str:
        """A new database; its URL."""
        url = f"postgres://{USER}:{PASSWORD}@127.0.0.1:{self.port}"
        created = subprocess.run(
            [self._programs / "createdb", f"--maintenance-db={url}/postgres", database],
            capture_output=True,
            text=True,
            check=False,
        )
        assert created.returncode == 0, created.stderr
        return f"{url}/{database}?sslmode=disable"

    def _run(self, program: str, *words: str) -> None:
        # A server that goes on holds its standard output open: none is read.
        with (self._folder / "said").open("ab") as said:
            done = subprocess.run(
                [self._programs / program, f"--pgdata={self._folder}/data", *words],
                user=self._user,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                check=False,
            )
        assert done.returncode == 0, (self._folder / "said").read_text()
