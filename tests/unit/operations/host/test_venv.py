"""When a virtual environment is made again, and that half of one does not count."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from operations.host.errors import BootstrapError
from operations.host.shell import Shell
from operations.host.venv import Venv

PYTHON = """\
#!/bin/sh
case $2 in
venv) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
pip) for word; do last=$word; done; grep -v lost "$last" >"$(dirname "$0")/installed" ;;
esac
"""


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python whose pip writes down what it was to install, and fails where that is `lost`."""
    path = tmp_path / "python"
    path.write_text(PYTHON)
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


def test_an_environment_is_made_again_for_another_lock_or_table(python: None, tmp_path: Path) -> None:
    lock, table, done = tmp_path / "lock", tmp_path / "table", list[str]()
    lock.write_text("x==1\n")
    table.write_text("a")
    venv = Venv(tmp_path / "venv", lock, table, then=lambda: done.append(table.read_text()))
    assert not venv.is_current
    venv.install(Shell(tmp_path / "log"))
    assert venv.is_current and (venv.folder / "bin" / "installed").read_text() == "x==1\n"
    table.write_text("b")
    assert not venv.is_current
    venv.install(Shell(tmp_path / "log"))
    assert venv.is_current and done == ["a", "b"]


def test_an_environment_whose_installation_failed_is_made_again(python: None, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text("lost\n")
    venv = Venv(tmp_path / "venv", lock)
    with pytest.raises(BootstrapError):
        venv.install(Shell(tmp_path / "log"))
    assert not venv.is_current
