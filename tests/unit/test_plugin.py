"""The pytest plugin of `berth test`, run on a small suite of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from config.paths import ROOT
from tests.unit.conftest import Checkout

SUITE = """
import pytest

def test_quick(): pass

@pytest.mark.full
def test_long(): pass

@pytest.mark.skipif(True, reason="needs a kernel driver")
def test_impossible(): pass
"""


def run(tmp_path: Path, *arguments: str) -> str:
    (tmp_path / "test_suite.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = full: long\n")
    root = ROOT
    argv = [sys.executable, "-m", "pytest", "-p", "tests.plugin", "-q", "--rootdir", str(tmp_path), str(tmp_path)]
    environment = {"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [*argv, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    ).stdout


def test_tests_left_out_are_listed_with_their_reasons(tmp_path: Path) -> None:
    said = run(tmp_path)
    assert "1 passed, 2 skipped" in said
    assert "1 tests: needs a kernel driver" in said and "1 tests: takes long: ./berth test --full" in said
    assert "test_suite.py::test_long" in said


def test_full_adds_the_long_ones(tmp_path: Path) -> None:
    assert "2 passed, 1 skipped" in run(tmp_path, "--full")


def test_berth_test_hands_its_arguments_to_pytest(
    checkout: Checkout, berth: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr("operations.commands.test.prepare.run", lambda **options: None)
    monkeypatch.setattr("operations.commands.test.environment", lambda workspace, say: None)
    monkeypatch.setattr("os.execv", lambda program, argv: seen.append(argv))
    monkeypatch.setattr("os.chdir", lambda path: None)
    berth("test", "tests/unit", "-k", "a and b", "-x", "--full", "--lf")  # type: ignore[operator]
    assert seen[0][1:] == [
        "-m",
        "pytest",
        "-p",
        "tests.plugin",
        "tests/unit",
        "-k",
        "a and b",
        "-x",
        "--full",
        "--lf",
    ]
