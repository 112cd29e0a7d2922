"""A MinIO server for these tests, and a bucket of it for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests import minio_server
from tests.store.contract import Store
from tests.store.contract.store import bucket_of_its_own

Program = Callable[[str], Path]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The program that an image of this checkout holds, by its name."""
    return partial(minio_server.program, folder=tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="session")
def server(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One node with four drives, as its root user sees it."""
    running = minio_server.MinioServer(program("minio"), tmp_path_factory.mktemp("drives"))
    try:
        running.start()
        yield running.store
    finally:
        running.stop()


@pytest.fixture
def store(server: Store) -> Iterator[Store]:
    """A bucket for one test."""
    with bucket_of_its_own(server) as own:
        yield own
