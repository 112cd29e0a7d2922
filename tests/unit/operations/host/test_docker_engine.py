"""Starting Docker where no service manager does."""

from __future__ import annotations

import os
from pathlib import Path

from operations.host import docker_engine


def test_a_pid_file_of_a_dead_daemon_is_removed(tmp_path: Path) -> None:
    pid_file = tmp_path / "docker.pid"
    for left_behind in (str(os.getpid()), "4194305", "nonsense"):
        pid_file.write_text(left_behind)
        docker_engine.remove_stale_pid_file(pid_file, "dockerd")
        assert not pid_file.exists(), left_behind


def test_a_pid_file_of_a_daemon_that_lives_is_kept(tmp_path: Path) -> None:
    pid_file = tmp_path / "docker.pid"
    pid_file.write_text(f"{os.getpid()}\n")
    docker_engine.remove_stale_pid_file(pid_file, Path(f"/proc/{os.getpid()}/comm").read_text().strip())
    assert pid_file.exists()
