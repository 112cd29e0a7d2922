"""The collection of garbage against a real MinIO server: its own Go tests, with the program that was built."""

from __future__ import annotations

import subprocess

import pytest

import images
from config import paths
from operations.host import golang, toolchain
from tests.store.conftest import Program

CACHE = paths.home() / "cache"
GO = toolchain.find(CACHE)
BUILD = ("-mod=readonly", "-modcacherw", "-trimpath", "-buildvcs=false")


@pytest.mark.skipif(GO is None, reason="no Go that is new enough: ./berth up brings one")
def test_the_collection_keeps_its_promises_on_minio(program: Program) -> None:
    assert GO
    environment = golang.environment(CACHE) | {"BERTH_TEST_MINIO": str(program("minio"))}
    # Most of a test's time is waiting for a grace period.
    command = [GO, "test", "-count=1", "-parallel=8", "-timeout=540s", *BUILD, "./collect/..."]
    done = subprocess.run(
        command, cwd=images.folder("registry"), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
