"""A MinIO server of one's own on the loopback address, from the program that Berth built."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import uuid
from pathlib import Path

import pytest

import images
from config import paths
from operations.host import golang
from tests.store.contract import Store

ROOT = ("tester-of-the-store", "a-secret-for-the-store")
SECONDS = 30.0


def program(name: str, folder: Path) -> Path:
    """The program that an image of this checkout holds: as it was compiled here, or out of the image."""
    compiled, taken = golang.program(name, paths.home() / "cache"), folder / name
    if compiled.is_file() or taken.is_file():
        return compiled if compiled.is_file() else taken
    reference, box = images.reference(name), f"berth-test-{uuid.uuid4().hex[:8]}"
    if shutil.which("docker") is None or not _docker("create", f"--name={box}", reference):
        pytest.skip(f"{reference} is not built on this machine (./berth up builds it)")
    try:
        assert _docker("cp", f"{box}:/bin/{name}", str(taken))
    finally:
        _docker("rm", "--force", box)
    return taken


def _docker(*words: str) -> bool:
    return subprocess.run(["docker", *words], capture_output=True, check=False).returncode == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MinioServer:
    """One node with four drives, which keep what they hold while it is stopped."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self._log = folder / "log"
        drives = [folder / str(number) for number in range(4)]
        for drive in drives:
            drive.mkdir()
        self.endpoint = f"http://127.0.0.1:{free_port()}"
        address = self.endpoint.removeprefix("http://")
        self._command = [str(binary), "server", "--quiet", f"--address={address}", *map(str, drives)]
        self.store = Store.at(self.endpoint, *ROOT)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {
            **os.environ,
            "MINIO_ROOT_USER": ROOT[0],
            "MINIO_ROOT_PASSWORD": ROOT[1],
            "MINIO_BROWSER": "off",
            # Folders of one file system stand for drives.
            "MINIO_CI_CD": "1",
        }
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + SECONDS
        while not self._ready():
            assert self._process.poll() is None and time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.1)

    def _ready(self) -> bool:
        try:
            return self.store.ask("GET").status == 200
        except Exception:
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None
