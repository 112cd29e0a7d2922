"""The code is as its own rules want it: lint, format, types, shell scripts, size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("__main__.py", "bench", "components", "config", "engine", "images", "operations")


def judge(*words: str) -> None:
    """Fails with the tool's own words."""
    found = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_ruff_finds_nothing() -> None:
    judge("ruff", "check", "--no-cache", ".")


def test_ruff_would_format_nothing() -> None:
    judge("ruff", "format", "--no-cache", "--check", ".")


def test_mypy_finds_nothing() -> None:
    judge("mypy")


def test_shell_scripts_that_stand_alone_pass_shellcheck() -> None:
    parts_of_a_whole = {"bundle.sh", "run.sh", "machine.sh", "daemon.sh", "service.sh", "nginx.sh", "client.sh"}
    parts_of_a_whole |= {"reload.sh", "pool.sh", "stranger.sh", "probe.sh", "network.sh"}
    scripts = [path for path in ROOT.rglob("*.sh") if ".berth" not in path.parts and path.name not in parts_of_a_whole]
    scripts += [ROOT / "berth", *(path for path in (ROOT / ".ci").iterdir() if path.suffix != ".py")]
    shellcheck = Path(sys.executable).with_name("shellcheck")
    if not shellcheck.exists():
        pytest.skip("shellcheck is not installed beside Python: ./berth up installs it")
    found = subprocess.run([shellcheck, *scripts], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
