"""A preview by Pulumi's CLI with Berth's own plugins, of stacks whose nodes nobody can reach from here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.program.checkout import PASSPHRASE, environment_of
from tests.program.recorder import ROOT


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_a_first_preview_is_complete_and_leaves_no_trace(stack: str, tmp_path: Path, cli: Path) -> None:
    stack_file = ROOT / f"Pulumi.{stack}.yaml"
    before = stack_file.read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "operations", "preview", "--stack", stack],
        cwd=ROOT,
        env={**environment_of(ROOT, tmp_path, cli), "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "to create" in done.stdout
    assert stack_file.read_bytes() == before
    assert not list((tmp_path / "state" / ".pulumi" / "stacks").rglob(f"{stack}.json*"))
