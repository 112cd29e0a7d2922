"""A MinIO server of one's own on the loopback address, from the program that Berth built."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import images
from operations.bootstrap import golang
from operations.store_contract import Store
from operations.store_contract.store import bucket_of_its_own

ROOT = ("tester-of-the-store", "a-secret-for-the-store")
PATIENCE = 30.0

Program = Callable[[str], Path]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The program that an image of this checkout holds: as it was compiled here, or out of the image."""
    folder = tmp_path_factory.mktemp("programs")

    def found(name: str) -> Path:
        compiled, taken = golang.program(name, images.home() / "cache"), folder / name
        if compiled.is_file() or taken.is_file():
            return compiled if compiled.is_file() else taken
        reference, box = images.reference(name), f"berth-test-{uuid.uuid4().hex[:8]}"
        if shutil.which("docker") is None or not docker("create", f"--name={box}", reference):
            pytest.skip(f"{reference} is not built on this machine (./berth up builds it)")
        try:
            assert docker("cp", f"{box}:/bin/{name}", str(taken))
        finally:
            docker("rm", "--force", box)
        return taken

    return found


def docker(*words: str) -> bool:
    return subprocess.run(["docker", *words], capture_output=True, check=False).returncode == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def server(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One node with four drives, as its root user sees it."""
    binary, folder, port = program("minio"), tmp_path_factory.mktemp("drives"), free_port()
    drives = [folder / str(number) for number in range(4)]
    for drive in drives:
        drive.mkdir()
    environment = {
        **os.environ,
        "MINIO_ROOT_USER": ROOT[0],
        "MINIO_ROOT_PASSWORD": ROOT[1],
        "MINIO_BROWSER": "off",
        # Folders of one file system stand for drives.
        "MINIO_CI_CD": "1",
    }
    command = [str(binary), "server", "--quiet", f"--address=127.0.0.1:{port}", *map(str, drives)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    store = Store.at(f"http://127.0.0.1:{port}", *ROOT)
    try:
        deadline = time.monotonic() + PATIENCE
        while not ready(store):
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield store
    finally:
        process.terminate()
        process.wait()


def ready(store: Store) -> bool:
    try:
        return store.ask("GET").status == 200
    except Exception:
        return False


@pytest.fixture
def store(server: Store) -> Iterator[Store]:
    """A bucket for one test."""
    with bucket_of_its_own(server) as own:
        yield own
